// Hears what the shop is told, as it happens: each notice once and in order, also across a lost connection.

const SILENCE_MS = 45_000; // The server says something at least every fifteen seconds; this long is a dead line.
const WAIT_MS = [500, 1000, 2000, 5000, 10_000];

// Reads the event stream with `fetch`, because EventSource can send no Authorization header (and a token in an
// address would be written into logs). `last` is the number of the last notice heard, or null: then only new ones are
// told, and onBlind() says that whatever came before the line was open must be read elsewhere. Calls
// onNotice({number, kind, data, created_at}), onAlive() whenever the server said anything, onState(true|false) and onSignedOut(). Returns a function that stops it.
export function listen({ url, token, last, onNotice, onAlive, onState, onBlind, onSignedOut }) {
  let stopped = false;
  let failures = 0;
  let connection = new AbortController();
  let wake = () => {};

  async function read() {
    const headers = { Authorization: `Bearer ${token}`, Accept: "text/event-stream", "Accept-Language": document.documentElement.lang };
    if (last !== null) headers["Last-Event-ID"] = String(last);
    const answer = await fetch(url, { headers, cache: "no-store", signal: connection.signal });
    if (answer.status === 401 || answer.status === 403) {
      stopped = true;
      return onSignedOut();
    }
    if (!answer.ok) throw new Error(`the stream answered ${answer.status}`);
    onAlive();
    onState(true);
    if (last === null) onBlind();
    const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
    let text = "";
    for (;;) {
      const line = connection;
      const alarm = setTimeout(() => line.abort(), SILENCE_MS);
      const { value, done } = await reader.read().finally(() => clearTimeout(alarm));
      if (done) return;
      failures = 0;
      onAlive();
      const events = (text + value).replaceAll("\r\n", "\n").split("\n\n");
      text = events.pop();
      events.forEach(take);
    }
  }

  function take(event) {
    const data = event
      .split("\n")
      .filter((line) => line.startsWith("data:"))
      .map((line) => line.slice(5).trimStart());
    if (!data.length) return; // A comment that only keeps the line open.
    const notice = JSON.parse(data.join("\n"));
    if (last !== null && notice.number <= last) return; // Told before the line was lost.
    last = notice.number;
    onNotice(notice);
  }

  async function run() {
    while (!stopped) {
      try {
        await read();
      } catch {
        failures += 1; // Whatever broke the line, the answer is the same: wait, and ask for what came after `last`.
      }
      if (stopped) return;
      onState(false);
      connection = new AbortController();
      const wait = WAIT_MS[Math.min(failures, WAIT_MS.length - 1)];
      await new Promise((resume) => {
        wake = resume;
        setTimeout(resume, wait * (0.75 + Math.random() / 2));
      });
    }
  }

  const now = () => wake(); // She looks at the phone again, or the network is back: no more waiting.
  document.addEventListener("visibilitychange", now);
  addEventListener("online", now);
  run();
  return () => {
    stopped = true;
    connection.abort();
    document.removeEventListener("visibilitychange", now);
    removeEventListener("online", now);
  };
}
