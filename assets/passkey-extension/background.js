// Asks the daemon for the passkey request and posts the response, for the content script of https://web.whatsapp.com only.
// It keeps no state: each message brings the link.
"use strict";

// Chrome's worker has one script; Firefox loads `link.js` by the manifest.
if (typeof importScripts === "function") importScripts("link.js");

(() => {
  const api = globalThis.browser ?? globalThis.chrome;
  const PAGE = "https://web.whatsapp.com";
  const TIMEOUT_MS = 20_000;
  const MAX_BODY = 16 * 1024;

  const isOurPage = ({ id, frameId, url }) => id === api.runtime.id && frameId === 0 && URL.canParse(url) && new URL(url).origin === PAGE;

  async function call(link, url, body) {
    const answer = await fetch(url, {
      method: body === undefined ? "GET" : "POST",
      headers: { "X-Passkey-Ticket": link.ticket, ...(body === undefined ? {} : { "Content-Type": "application/json" }) },
      body,
      credentials: "omit",
      cache: "no-store",
      // The ticket is for this server only.
      redirect: "error",
      referrerPolicy: "no-referrer",
      signal: AbortSignal.timeout(TIMEOUT_MS),
    });
    return { ok: answer.ok, status: answer.status, json: await answer.json().catch(() => undefined) };
  }

  async function handle(message) {
    const link = WharfLink.check(message.link);
    const origins = [WharfLink.originPattern(link.server)];
    if (!(await api.permissions.contains({ origins }))) return { isPermissionMissing: true };
    const body = message.type === "response" ? JSON.stringify(message.response) : undefined;
    if (body && body.length > MAX_BODY) return { failure: "The response of the passkey is too large." };
    let answer;
    try {
      answer = await call(link, body ? WharfLink.responseUrl(link) : WharfLink.passkeyUrl(link), body);
    } catch (error) {
      const isLate = error?.name === "TimeoutError";
      return { failure: isLate ? "The server did not answer in 20 seconds. Try again." : `The server at ${link.server} cannot be reached from this browser. Check the address and the network, then try again.` };
    }
    if (!answer.ok) return { failure: WharfLink.refusal(answer.status, answer.json) };
    if (!body) return { ok: WharfLink.optionsOf(answer.json) };
    // Nothing stays: the next link asks again. A permission that the browser's policy gave cannot be removed.
    await api.permissions.remove({ origins }).catch(() => false);
    return { ok: true };
  }

  api.runtime.onMessage.addListener((message, sender, answer) => {
    if (!isOurPage(sender) || (message?.type !== "options" && message?.type !== "response")) return false;
    handle(message).then(answer, (error) => answer({ failure: error.message }));
    return true;
  });
})();
