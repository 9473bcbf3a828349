// Push notifications and their clicks only: no fetch handler and no cache.
const SHOWN = { maxTitle: 200, maxBody: 500 };

const text = (value, length) => (typeof value === "string" ? value.slice(0, length) : "");

self.addEventListener("push", (event) => {
  let notification = {};
  try {
    notification = event.data?.json() ?? {};
  } catch {
    // A push of another kind: shown without words.
  }
  const { deviceId, chatId, id } = notification;
  event.waitUntil(
    self.registration.showNotification(text(notification.title, SHOWN.maxTitle) || "Wharf", {
      body: text(notification.body, SHOWN.maxBody),
      tag: text(id, 100) || undefined,
      data: { deviceId: text(deviceId, 64), chatId: text(chatId, 200) },
    }),
  );
});

function pageOf({ deviceId, chatId }) {
  const parts = deviceId ? ["devices", deviceId, ...(chatId ? ["chats", chatId] : [])] : [];
  return new URL(`./#/${parts.map(encodeURIComponent).join("/")}`, self.registration.scope).href;
}

async function open(url) {
  const windows = await self.clients.matchAll({ type: "window", includeUncontrolled: true });
  const known = windows.find((client) => client.url.startsWith(self.registration.scope));
  if (!known) return self.clients.openWindow(url);
  // A browser can refuse the focus, for example when the click is too long ago; the page still opens the chat.
  await known.focus().catch(() => undefined);
  // A page that this worker does not control cannot be navigated by it.
  known.postMessage({ open: new URL(url).hash });
}

self.addEventListener("notificationclick", (event) => {
  event.notification.close();
  event.waitUntil(open(pageOf(event.notification.data ?? {})));
});
