(function () {
  var picture = document.createElement("img");
  var turns = 0;

  // Each picture is good for a minute and replaced long before: a photo of this page is soon worth nothing.
  function turn() {
    if (document.hidden || turns > 180) return;
    picture.src = location.pathname + "/proof.png?moving=" + turns++;
  }

  picture.className = "code";
  picture.alt = document.getElementById("show").textContent;
  picture.width = picture.height = 260;
  document.getElementById("show").after(picture);
  setInterval(turn, 20000);
  document.addEventListener("visibilitychange", turn);
  turn();
})();
