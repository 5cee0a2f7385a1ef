// One look through the camera: what the code in front of it says.

import { h, sheet } from "./dom.js";
import { t } from "./words.js";

const WIDTH = 1000; // Pixels that are searched: enough for the largest code of ours at half the width of the picture.

// The browser's own reader of codes, or one that is loaded apart. Called once early, so that it is there without network.
let chosen;
export const reader = () =>
  (chosen ??= choose().catch((failure) => {
    chosen = null;
    throw failure;
  }));

async function choose() {
  const formats = (await globalThis.BarcodeDetector?.getSupportedFormats().catch(() => [])) ?? [];
  if (formats.includes("qr_code")) {
    const detector = new BarcodeDetector({ formats: ["qr_code"] });
    return async (source) => (await detector.detect(source))[0]?.rawValue;
  }
  const { decodeQR } = await import("./vendor/read-qr.js");
  const paper = h("canvas").getContext("2d", { willReadFrequently: true });
  return async (source, width, height) => {
    const scale = Math.min(1, WIDTH / Math.max(width, height));
    paper.canvas.width = width * scale;
    paper.canvas.height = height * scale;
    paper.drawImage(source, 0, 0, paper.canvas.width, paper.canvas.height);
    try {
      return decodeQR(paper.getImageData(0, 0, paper.canvas.width, paper.canvas.height));
    } catch {
      return null; // There is none in this picture.
    }
  };
}

// Opens the camera on a full screen and calls onRead(text) once. However it ends, the camera is closed.
export function scan(title, onRead) {
  let open = true;
  let stream = null;
  const video = h("video", { className: "camera", muted: true, playsInline: true });
  const said = h("p", { className: "soft", role: "status" }, t("Hold the code in front of the camera."));
  const light = h("button", { className: "plain", type: "button", hidden: true }, t("Light"));
  const file = h("input", { type: "file", accept: "image/*", onchange: () => look(fromPhoto) });
  const dialog = sheet("scan", title, stop, video, said, light, h("label", {}, t("Or choose a photo"), file));
  const away = () => document.hidden && dialog.close();
  document.addEventListener("visibilitychange", away);

  function stop() {
    open = false;
    stream?.getTracks().forEach((track) => track.stop());
    document.removeEventListener("visibilitychange", away);
  }

  function found(text) {
    if (!open) return;
    dialog.close();
    open = false; // The dialog says so itself, but a moment later.
    onRead(text);
  }

  async function fromPhoto(read) {
    const picture = await createImageBitmap(file.files[0]);
    const text = await read(picture, picture.width, picture.height);
    if (text) found(text);
    else said.textContent = t("There is no code in this photo.");
  }

  async function fromCamera(read) {
    stream = await navigator.mediaDevices.getUserMedia({ video: { facingMode: "environment", width: { ideal: 1280 } } });
    if (!open) return stop();
    video.srcObject = stream;
    await video.play();
    const [track] = stream.getVideoTracks();
    light.hidden = !track.getCapabilities?.().torch;
    light.onclick = () => track.applyConstraints({ advanced: [{ torch: !track.getSettings().torch }] });
    while (open) {
      const text = video.videoWidth && (await read(video, video.videoWidth, video.videoHeight));
      if (text) return found(text);
      await new Promise((done) => setTimeout(done, 100));
    }
  }

  async function look(from) {
    try {
      await from(await reader());
    } catch {
      video.hidden ||= from === fromCamera; // An empty black picture would say that it is only dark.
      said.textContent = from === fromPhoto ? t("This photo could not be read.") : t("The camera cannot be used here. Choose a photo.");
    }
  }

  look(fromCamera);
}
