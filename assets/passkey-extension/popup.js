// Asks the person for the permission to reach the server of the open link. Only an extension's own page can do that.
"use strict";

(async () => {
  const api = globalThis.browser ?? globalThis.chrome;
  const text = document.getElementById("text");
  const allow = document.getElementById("allow");

  const [tab] = await api.tabs.query({ active: true, currentWindow: true });
  const status = tab ? await api.tabs.sendMessage(tab.id, { type: "status" }).catch(() => undefined) : undefined;
  if (!status?.server) {
    text.textContent = "No link is open in this tab. Open the link that Wharf shows while it links a device.";
    return;
  }
  if (!status.isWaiting) {
    text.textContent = "No permission is needed now. Continue in the page.";
    return;
  }
  text.textContent = `Allow this extension to send the signed passkey response of the device “${status.device}” to ${status.server}? The permission is given back afterwards.`;
  allow.hidden = false;
  allow.focus();
  allow.addEventListener("click", async () => {
    // Directly in the click: browsers show the question only for a person's action.
    const isAllowed = await api.permissions.request({ origins: [WharfLink.originPattern(status.server)] }).catch(() => false);
    if (!isAllowed) {
      text.textContent = "Without the permission the extension cannot reach the server. Use the script for the console that Wharf shows.";
      return;
    }
    allow.hidden = true;
    text.textContent = "Allowed. Continue in the page.";
    await api.tabs.sendMessage(tab.id, { type: "granted" }).catch(() => undefined);
  });
})();
