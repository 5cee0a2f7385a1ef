(function () {
  var main = document.querySelector("main");
  var again = Number(main.getAttribute("data-again"));
  var tag = "";
  var missed = 0;
  var asking, timer;

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
    if (asking || document.hidden) return;
    clearTimeout(timer);
    get(location.pathname + "/state", "json", function (answer) {
      missed = answer.status === 200 || answer.status === 304 ? 0 : missed + 1;
      if (answer.status === 200 && answer.response) {
        tag = answer.getResponseHeader("ETag");
        again = answer.response.again_s;
        if (answer.response.version !== main.getAttribute("data-version")) return get(location.pathname, "document", replace);
      }
      wait();
    });
  }

  function wait() {
    clearTimeout(timer);
    if (again && !document.hidden) timer = setTimeout(look, Math.min(again << Math.min(missed, 4), 60) * 1000);
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

  document.addEventListener("visibilitychange", function () {
    clearTimeout(timer);
    look();
  });
  addEventListener("online", look);
  furnish();
  wait();
})();
