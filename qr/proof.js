function prove() {
  var show = document.getElementById("show");
  var picture = document.createElement("img");
  var turns = 0;
  var clock;

  // Each picture is good for a minute and replaced long before: a photo of this page is soon worth nothing.
  function turn() {
    if (document.getElementById("show") !== show) return stop();
    if (document.hidden || turns > 180) return;
    picture.src = location.pathname + "/proof.png?moving=" + turns++;
  }

  function stop() {
    clearInterval(clock);
    document.removeEventListener("visibilitychange", turn);
  }

  if (!show) return;
  picture.className = "code";
  picture.alt = show.textContent;
  picture.width = picture.height = 260;
  show.parentNode.insertBefore(picture, show.nextSibling);
  clock = setInterval(turn, 20000);
  document.addEventListener("visibilitychange", turn);
  turn();
}
