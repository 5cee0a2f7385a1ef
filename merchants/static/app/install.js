// The page without a network: its service worker. A newer version waits until this page is closed, and then comes as a whole.

export async function install() {
  if (!navigator.serviceWorker) return; // Plain http: the page works, and needs the network.
  navigator.serviceWorker.addEventListener("controllerchange", leaveOld);
  await navigator.serviceWorker.register("/app/worker.js").then(leaveOld, () => {}); // Tried again at the next opening.
}

// A worker that takes over drops the files of the version before: a page of that version begins again, never half of each.
async function leaveOld() {
  const files = `pushcart-app-${document.documentElement.dataset.version}`;
  if (navigator.serviceWorker.controller && !(await caches.has(files))) location.reload();
}
