(function () {
  var given = JSON.parse(document.getElementById("bridge").textContent);
  var button = document.getElementById("call");
  var timer = setTimeout(look, given.wait_s * 1000);

  function look() {
    location.reload();
  }

  // The wallet's own dialog is never disturbed by a reload, and after it the page does not open it again by itself.
  function call() {
    clearTimeout(timer);
    history.replaceState(null, "", "?asked");
    WeixinJSBridge.invoke("getBrandWCPayRequest", given.arguments, look);
  }

  function ready() {
    document.getElementById("otherwise").hidden = true;
    button.hidden = false;
    button.onclick = call;
    if (location.search !== "?asked") call();
  }

  if (window.WeixinJSBridge) ready();
  else document.addEventListener("WeixinJSBridgeReady", ready);
})();
