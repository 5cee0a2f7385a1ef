// Money is heard: two rising notes when it is right, one low note when something needs a look.

let audio = null;

// Browsers allow sound only after a touch; every touch of the page is such a chance.
export function hear() {
  audio ??= new AudioContext();
  if (audio.state === "suspended") audio.resume();
}

export function ring(good) {
  navigator.vibrate?.(good ? [120, 60, 120] : 400);
  if (audio?.state !== "running") return;
  (good ? [880, 1320] : [330]).forEach((pitch, place) => {
    const note = audio.createOscillator();
    const loudness = audio.createGain();
    const start = audio.currentTime + place * 0.14;
    note.frequency.value = pitch;
    loudness.gain.setValueAtTime(0.5, start);
    loudness.gain.exponentialRampToValueAtTime(0.001, start + 0.5);
    note.connect(loudness).connect(audio.destination);
    note.start(start);
    note.stop(start + 0.5);
  });
}

addEventListener("pointerdown", hear);
