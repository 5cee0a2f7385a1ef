// The vendor's phone page: sign in, name the shop, add an item, show its code, and hear money arrive.

import { alarmCards, readAlarms } from "./alarms.js";
import { Problem, ask, phone, rows } from "./api.js";
import { eveningBook } from "./book.js";
import { check, prepare } from "./check.js";
import { field, form, h, sheet, show } from "./dom.js";
import { example, shown, typed } from "./money.js";
import { ownCodes, readOwn } from "./own.js";
import { printing } from "./print.js";
import { hear, ring } from "./sound.js";
import { listen } from "./stream.js";

let shop = null;
let items = [];
let payments = new Map(); // Today's, by id: the list and the stream may both tell of one.
let waiting = []; // The shop's own accounts whose new credentials its owner can still stop.
let online = false;
let hangUp = () => {};

const day = (moment) => new Intl.DateTimeFormat("en-CA", { timeZone: shop.time_zone }).format(moment);
const clock = (text) =>
  new Intl.DateTimeFormat(document.documentElement.lang, { timeStyle: "short", timeZone: shop.time_zone }).format(
    new Date(text),
  );
const today = (payment) => day(new Date(payment.occurred_at)) === day(new Date());

// --- Signing in ---

function signIn() {
  hangUp();
  const number = field(
    "Your phone number",
    { name: "phone", type: "tel", autocomplete: "tel", placeholder: "+86 138 0013 8000" },
    "With the country, for example +86",
  );
  const send = async ({ elements }) => {
    await ask("POST", "/auth/code", { phone: elements.phone.value });
    enterCode(elements.phone.value);
  };
  show(
    h(
      "div",
      { className: "hello" },
      h("img", { src: logo(), alt: "", width: 72, height: 72 }),
      h("h1", {}, "Pushcart"),
      h("p", { className: "soft" }, "Get paid by QR code. No till, no contract."),
    ),
    form(send, "Send me a code", number),
  );
  number.querySelector("input").focus();
}

function enterCode(number) {
  const code = field(
    "The code we sent you",
    {
      name: "code",
      inputMode: "numeric",
      autocomplete: "one-time-code",
      pattern: "[0-9 ]{6,7}",
      maxLength: 7,
      className: "digits",
    },
    `By text message to ${number}`,
  );
  const redeem = async ({ elements }) => {
    const body = { phone: number, code: elements.code.value.replaceAll(" ", "") };
    const { status, data } = await ask("POST", "/auth/token", body);
    phone.keep({ token: data.token });
    hear();
    if (status === 201) nameShop();
    else await open();
  };
  show(
    h("h1", { className: "first" }, "Look into your messages"),
    form(redeem, "Sign in", code),
    h("button", { className: "plain", onclick: signIn }, "Another number"),
  );
  code.querySelector("input").focus();
}

function nameShop() {
  const name = field(
    "What is your shop called?",
    { name: "name", maxLength: 80, autocomplete: "organization" },
    "Your customers see this name when they pay",
  );
  const save = async ({ elements }) => {
    await ask("PATCH", "/shop", { name: elements.name.value });
    await open();
  };
  show(h("h1", { className: "first" }, "Welcome"), form(save, "Open my shop", name));
  name.querySelector("input").focus();
}

async function signOut() {
  await ask("DELETE", "/auth/token").catch(() => {}); // A token that is refused already is as good as gone.
  phone.forget();
  signIn();
}

// --- The shop ---

async function open() {
  shop = (await ask("GET", "/shop")).data;
  items = [];
  payments = new Map();
  hangUp();
  const { token, last = null } = phone.read();
  hangUp = listen({
    url: shop.stream_url,
    token,
    last,
    onNotice: told,
    onState: (state) => {
      if (state === online) return; // A button must not vanish from under a finger at every failed attempt.
      online = state;
      home();
    },
    onBlind: readPayments,
    onSignedOut: () => {
      phone.forget();
      signIn();
    },
  });
  prepare();
  await readPayments();
  for await (const item of rows("/items?limit=200")) if (item.active) items.push(item);
  await readOwn();
  await readAlarms();
  await readChanges();
}

async function readChanges() {
  const own = shop.role === "owner" ? (await ask("GET", "/provider-accounts")).data.results : [];
  waiting = own.filter(({ change }) => change);
  home();
}

// What the list and the stream both tell is counted once, because payments are kept by their id.
async function readPayments() {
  // The list is in the order of recording: a payment of yesterday that was told late stands among today's.
  const recent = ({ recorded_at }) => day(new Date(recorded_at)) === day(new Date());
  for await (const payment of rows("/payments?limit=200", recent)) payments.set(payment.id, payment);
  home();
}

function home() {
  if (!shop) return;
  const sold = [...payments.values()].filter(today).sort((a, b) => (a.occurred_at < b.occurred_at ? 1 : -1));
  const sum = sold
    .filter(({ placed }) => placed !== false)
    .reduce((total, payment) => total + payment.amount.amount - (payment.refunded?.amount ?? 0), 0);
  show(
    h(
      "header",
      {},
      h("h1", {}, shop.name),
      h("span", { className: online ? "live on" : "live" }, online ? "Live" : "Connecting…"),
    ),
    h(
      "section",
      { className: "today" },
      h("p", {}, "Today"),
      h("p", { className: "sum", id: "total" }, shown({ amount: sum, currency: shop.currency })),
      h("p", {}, sold.length === 1 ? "1 payment" : `${sold.length} payments`),
    ),
    h("p", { className: "soft" }, "Your sign must show: ", h("b", { id: "word" }, shop.check_word)),
    ...alarmCards(shop.role, home),
    h("button", { className: "plain", onclick: () => check(shop, items, home) }, "Check a receipt or a code"),
    ...waiting.map(changeRow),
    h(
      "section",
      {},
      h("h2", {}, "My codes"),
      h("ul", { className: "items" }, items.map(itemRow)),
      h("button", { className: "go", onclick: addItem }, "+ Add an item"),
      h("button", { className: "plain", onclick: showShopCode }, "Code for any amount"),
    ),
    h(
      "section",
      {},
      h("h2", {}, "Payments today"),
      sold.length
        ? h("ul", { className: "paid", id: "payments" }, sold.map(paymentRow))
        : h("p", { className: "soft" }, "None yet. Show a code to your first customer."),
    ),
    ...ownCodes(shop, home),
    ...(shop.role === "assistant" ? [] : [eveningBook(day(new Date()))]),
    h("button", { className: "quiet", onclick: signOut }, "Sign out"),
  );
}

function changeRow({ title, change }) {
  const when = new Date(change.effective_at).toLocaleString(document.documentElement.lang, { timeZone: shop.time_zone });
  const stop = async ({ target }) => {
    target.disabled = true;
    await ask("DELETE", `/provider-accounts/changes/${change.id}`).catch(() => {}); // Over already: the list says so.
    await readChanges();
  };
  return h(
    "section",
    {},
    h("p", { className: "wrong" }, `New ${title} credentials decide from ${when} where your sales are paid to.`),
    h("button", { className: "plain", onclick: stop }, "This was not me: stop it"),
  );
}

function itemRow(item) {
  const picture = item.photo
    ? h("img", { src: item.photo, alt: "", loading: "lazy" })
    : h("i", { ariaHidden: "true" }, item.name.slice(0, 1).toUpperCase());
  const open = () => showCode(item.name, shown(item.price) + (item.unit ? ` / ${item.unit}` : ""), item.code?.id);
  return h(
    "li",
    {},
    h(
      "button",
      { onclick: open },
      picture,
      h("span", {}, item.name, h("small", {}, shown(item.price))),
      h("b", { ariaHidden: "true" }, "▦"),
    ),
  );
}

const MATCHES = {
  short: "Less than asked",
  over: "More than asked",
  late: "After closing",
  double: "Paid twice",
  unexpected: "Not expected",
};

function paymentRow(payment) {
  const what = payment.description || payment.item?.name || "Payment";
  const notes = [
    MATCHES[payment.match],
    payment.placed === false && "Being checked",
    payment.refunded?.amount > 0 && `Refunded ${shown(payment.refunded)}`,
  ].filter(Boolean);
  return h(
    "li",
    {},
    h("span", {}, what, h("small", {}, [clock(payment.occurred_at), ...notes].join(" · "))),
    h("b", {}, shown(payment.amount)),
  );
}

// --- Items and codes ---

function addItem() {
  const name = field("What do you sell?", { name: "name", maxLength: 80 });
  const price = field(`Price in ${shop.currency}`, {
    name: "price",
    inputMode: "decimal",
    autocomplete: "off",
    placeholder: example(shop.currency),
  });
  const photo = field("Photo", { name: "photo", type: "file", accept: "image/*", required: false }, "If you like");
  const key = crypto.randomUUID(); // Sent again after a lost answer, the same item is made once.
  const save = async ({ elements }) => {
    const amount = typed(elements.price.value, shop.currency);
    if (amount === null) throw new Problem(422, { detail: `Please type a price such as ${example(shop.currency)}.` });
    let item = (
      await ask("POST", "/items", { name: elements.name.value, price: { amount, currency: shop.currency } }, key)
    ).data;
    if (elements.photo.files.length) {
      const body = new FormData();
      body.append("photo", await smaller(elements.photo.files[0]), "photo.jpg");
      item = (await ask("PATCH", `/items/${item.id}`, body)).data;
    }
    items.unshift(item);
    dialog.close();
  };
  const dialog = sheet("panel", "Add an item", home, form(save, "Add", name, price, photo));
}

// A phone's photo has twelve million pixels; a street's network should carry one million.
async function smaller(file) {
  try {
    const picture = await createImageBitmap(file);
    const scale = Math.min(1, 1200 / Math.max(picture.width, picture.height));
    const canvas = h("canvas", { width: picture.width * scale, height: picture.height * scale });
    canvas.getContext("2d").drawImage(picture, 0, 0, canvas.width, canvas.height);
    return await new Promise((done) => canvas.toBlob((blob) => done(blob ?? file), "image/jpeg", 0.85));
  } catch {
    return file; // A format that this browser cannot read: the server can, or says why not.
  }
}

async function showShopCode() {
  for await (const code of rows("/codes?kind=shop&state=active"))
    return showCode(shop.name, "Your customer types the amount", code.id);
}

async function showCode(title, price, codeId) {
  const picture = h("img", { className: "qr", alt: `QR code of ${title}`, width: 600, height: 600 });
  const wait = h("p", { className: "soft", role: "status" }, "One moment…");
  const word = h("p", {}, "Check word: ", h("b", {}, shop.check_word)); // The customer's page asks her to look for it.
  sheet("code", title, () => URL.revokeObjectURL(picture.src), picture, h("p", { className: "sum" }, price), word, wait, printing(codeId));
  try {
    picture.src = URL.createObjectURL((await ask("GET", `/codes/${codeId}/image.png?size=720`)).data);
    await picture.decode();
    wait.textContent = "Your customer scans this with the phone's camera";
  } catch {
    wait.textContent = "The code could not be loaded. Close this and try again.";
  }
}

// --- Money arrives ---

const DISPUTES = {
  dispute_opened: "A payer contests a payment",
  dispute_evidence_due: "Answer the dispute soon",
  dispute_won: "A dispute was won",
  dispute_closed: "A dispute was closed",
  dispute_lost: "A dispute was lost",
};
const CHANGES = {
  requested: "New credentials were entered",
  canceled: "New credentials were stopped",
  applied: "New credentials took effect",
  entered_by_operator: "We entered new credentials",
};
const until = (due) => (due ? `, answer it by ${new Date(due).toLocaleDateString()}` : "");

const FRESH_MS = 600_000; // What is older was missed for too long to be called out; the list and the total say it.

function told({ number, kind, data, created_at }) {
  phone.keep({ last: number });
  const fresh = Date.now() - new Date(created_at) < FRESH_MS;
  const announce = fresh ? card : () => {};
  if (kind === "payment_received") {
    payments.set(data.payment, { id: data.payment, ...data, ...payments.get(data.payment) });
    announce(
      `${shown(data.amount)}`,
      data.match === "exact" ? data.description || "Received" : MATCHES[data.match],
      data.match === "exact",
    );
  } else if (kind === "payment_in_question") {
    announce("A payment is being checked", shown(data.amount), false);
  } else if (kind === "refund_succeeded") {
    if (payments.has(data.payment)) reread(data.payment);
    announce("Refunded", shown(data.amount), false);
  } else if (kind === "refund_failed") {
    announce("A refund did not go through", shown(data.amount), false);
  } else if (kind === "balance_corrected") {
    announce(data.taken ? "Your balance was corrected down" : "Your balance was corrected up", shown(data.amount), false);
  } else if (kind.startsWith("dispute_")) {
    if (payments.has(data.payment)) reread(data.payment);
    announce(DISPUTES[kind] ?? "A payment is contested", `${shown(data.amount)}${until(data.evidence_due_at)}`, false);
  } else if (kind === "account_change") {
    readChanges();
    announce(CHANGES[data.step], data.title, false);
  } else if (kind === "wallet_code_change") {
    readOwn().then(home, () => {}); // The next opening reads it, if this did not.
    announce(data.step === "added" ? "A wallet code was added" : "A wallet code was retired", data.payee, false);
  } else if (kind === "code_alarm") {
    readAlarms().then(home, () => {}); // Without a connection it is read when the page is opened again.
    announce("Look at a code", data.sentence, false);
  } else if (kind.startsWith("payout_")) {
    announce(`Payout ${data.state ?? `account ${data.step}`}`, `Account ending ${data.tail}`, false);
  }
  home();
}

// What was refunded is a sum that the books keep; it is read there and never added up here.
async function reread(id) {
  payments.set(id, (await ask("GET", `/payments/${id}`)).data);
  home();
}

function card(title, text, good) {
  ring(good);
  const told = document.getElementById("told");
  const one = h(
    "div",
    { className: good ? "card" : "card other", onclick: () => one.remove() },
    h("b", {}, good ? `✓ ${title}` : title),
    h("span", {}, text),
  );
  told.append(one);
  if (told.children.length > 3) told.firstChild.remove();
  // Above whatever is open: a full-screen code lies in the browser's top layer.
  (document.querySelector("dialog[open]") ?? document.body).append(told);
  setTimeout(() => one.remove(), 8000);
}

const logo = () => document.querySelector("link[rel=icon]").href;

if (phone.read()?.token) {
  open().catch((problem) => {
    if (problem.status === 401 || problem.status === 403) return signIn();
    show(
      h("p", { className: "wrong" }, "The shop could not be opened."),
      h("button", { className: "go", onclick: () => location.reload() }, "Try again"),
    );
  });
} else signIn();
