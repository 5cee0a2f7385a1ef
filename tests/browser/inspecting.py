"""A page held against WCAG 2.2 AA by axe-core, and against the language that it is in."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import axe_playwright_python  # type: ignore[import-untyped]
from playwright.sync_api import Page

from tests.browser.words import ENGLISH, Words

AXE = Path(axe_playwright_python.__file__).with_name("axe.min.js").read_text()
LAWS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]
LOOK = """async ([tags, rules, without, colours]) => {
  for (const change of document.getAnimations()) if (change instanceof CSSTransition) change.finish();
  const { violations } = await axe.run(without.length ? { exclude: without } : document, {
    runOnly: rules.length ? { type: "rule", values: rules } : { type: "tag", values: tags },
    rules: rules.length ? {} : { "target-size": { enabled: true }, "color-contrast": { enabled: colours } },
    resultTypes: ["violations"],
    preload: false,
    iframes: false,
  });
  return violations.flatMap(({ id, tags, nodes }) =>
    nodes.map(({ target, failureSummary, any }) => ({
      rule: id,
      law: tags.includes("best-practice") ? "advice" : "law",
      where: target.join(" "),
      why: any.map(({ message }) => message).join(" ") || failureSummary,
    })),
  );
}"""
# How the page stands, what sticks out of it, and all that it says to whoever reads or hears it.
READ = """() => {
  const page = document.documentElement;
  const says = (one) => one.checkVisibility() && !one.closest("script, style, textarea, code, pre")
    && (one.closest("[lang]")?.lang ?? "") === page.lang;
  const texts = [document.title];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) if (says(walker.currentNode.parentElement)) texts.push(walker.currentNode.data.trim());
  for (const one of document.querySelectorAll("[aria-label], [alt], [title], [placeholder]"))
    if (says(one)) texts.push(...["aria-label", "alt", "title", "placeholder"].map((name) => one.getAttribute(name)));
  return {
    lang: page.lang,
    dir: getComputedStyle(page).direction,
    over: [page, ...document.querySelectorAll("dialog[open]")].map((one) => one.scrollWidth - one.clientWidth),
    texts: texts.filter(Boolean),
  };
}"""
# What shops, items and wallets are called in these tests stays as it is.
NAMES = ["Mei's fruit", "Red apples", "My WeChat", "Pretend wallet"]


@dataclass
class Inspection:
    """What axe found wrong, page by page; its advice beyond the law is told and fails nothing."""

    words: Words = ENGLISH
    broken: list[str] = field(default_factory=list)
    advice: list[str] = field(default_factory=list)
    seen: list[str] = field(default_factory=list)

    def look(
        self,
        page: Page,
        name: str,
        *,
        dark: bool = True,
        without: Sequence[str] = (),
        ours: bool = True,
        wide: bool = False,
        names: Sequence[str] = (),
    ) -> None:
        """English is looked at wholly, another language by the law and without colours, which are the same. `ours`:
        it speaks that language; `wide`: it is made for paper or a desk.
        """
        self.seen.append(name)
        if not page.evaluate("'axe' in window"):
            page.evaluate(AXE)
        page.emulate_media(color_scheme="light")
        first = self.words is ENGLISH
        tags = [*LAWS, "best-practice"] if first else LAWS
        self._note(name, page.evaluate(LOOK, [tags, [], without, first]))
        if ours:
            self._read(page, name, wide, [*NAMES, *names])
        if dark and first:
            page.emulate_media(color_scheme="dark")
            self._note(f"{name}, dark", page.evaluate(LOOK, [[], ["color-contrast"], without, True]))

    def end(self) -> None:
        print("Beyond the law:", *self.advice, sep="\n")
        assert self.broken == []

    def _note(self, name: str, found: list[dict[str, str]]) -> None:
        for one in found:
            told = self.broken if one["law"] == "law" else self.advice
            told.append(f"{name}: {one['rule']} at {one['where']}: {one['why']}")

    def _read(self, page: Page, name: str, wide: bool, names: list[str]) -> None:
        read = page.evaluate(READ)
        stands = (read["lang"], read["dir"])
        if stands != (self.words.language, "rtl" if self.words.turned else "ltr"):
            self.broken.append(f"{name}: it stands in {stands}")
        if not wide and max(read["over"]) > 0:
            self.broken.append(f"{name}: it is wider than the screen by {read['over']}")
        self.broken += [f"{name}: in English: {text!r}" for text in self.words.english_in(read["texts"], names)]
