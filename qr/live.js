(function () {
  var main = document.querySelector("main");
  var again = Number(said("again"));
  var tag = "";
  var missed = 0;
  var asking, timer, line, rung;

  function said(name) {
    return main.getAttribute("data-" + name);
  }

  // An answer that never comes must not end the asking.
  function get(address, kind, done) {
    asking = new XMLHttpRequest();
    asking.open("GET", address);
    asking.responseType = kind;
    asking.timeout = 20000;
    if (kind === "json" && tag) asking.setRequestHeader("If-None-Match", tag);
    asking.onloadend = function () {
      var answer = asking;
      asking = null;
      done(answer);
    };
    asking.send();
  }

  function look() {
    rung = asking;
    if (asking || document.hidden) return;
    clearTimeout(timer);
    get(location.pathname + "/state", "json", function (answer) {
      missed = answer.status === 200 || answer.status === 304 ? 0 : missed + 1;
      if (answer.status === 200 && answer.response) {
        tag = answer.getResponseHeader("ETag");
        again = answer.response.again_s;
        if (answer.response.version !== said("version")) return get(location.pathname, "document", replace);
      }
      wait();
    });
  }

  // While somebody else would ring, it looks seldom: only what rings nowhere (time that is up) is found so.
  function wait() {
    clearTimeout(timer);
    if (!again || document.hidden) return hangUp();
    if (rung) return look();
    var pause = line && line.readyState === 1 ? Math.max(again, 15) : again;
    timer = setTimeout(look, Math.min(pause << Math.min(missed, 4), 60) * 1000);
  }

  // The line rings when the receipt says something else. Refused or lost, it is not asked for again on this visit.
  function listen() {
    if (line || !again || document.hidden || !window.EventSource) return;
    line = new EventSource(said("stream") + location.pathname + "/events");
    line.onopen = wait;
    line.onmessage = function (event) {
      if (event.data !== said("version")) look();
    };
    line.onerror = askInstead;
  }

  function hangUp() {
    if (line) line.close();
    line = null;
  }

  function askInstead() {
    hangUp();
    wait();
  }

  // Only what is said changes, so nothing flickers or scrolls, and a screen reader hears it. A page that hands over to a
  // wallet may come with another policy: that one is opened as a whole.
  function replace(answer) {
    var page = answer.response;
    var fresh = answer.status === 200 && page && page.querySelector("main[data-version]");
    if (!fresh) {
      missed++;
      tag = "";
      return wait();
    }
    if (fresh.getAttribute("data-kind") === "waiting") return location.reload();
    ["data-kind", "data-version"].forEach(function (name) {
      main.setAttribute(name, fresh.getAttribute(name));
    });
    main.innerHTML = fresh.innerHTML;
    document.querySelector("footer").innerHTML = page.querySelector("footer").innerHTML;
    document.title = page.title;
    furnish();
    wait();
  }

  // What only a script can offer.
  function furnish() {
    var keep = document.getElementById("keep");
    prove();
    if (!keep || !navigator.share) return;
    keep.hidden = false;
    keep.onclick = function () {
      navigator.share({ title: document.title, url: location.origin + location.pathname }).catch(function () {});
    };
  }

  function comeBack() {
    if (document.hidden) return wait();
    look();
    listen();
  }

  document.addEventListener("visibilitychange", comeBack);
  addEventListener("online", comeBack);
  addEventListener("offline", askInstead);
  furnish();
  listen();
  wait();
})();
