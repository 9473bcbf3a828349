// Reads the link from the address bar and leads through the signing. The link and the response are in this page's memory only.
"use strict";

(() => {
  const runtime = (globalThis.browser ?? globalThis.chrome).runtime;
  const ASK = "wharf-passkey:sign";
  const ANSWER = "wharf-passkey:signed";
  const TITLE = "Link a device to Wharf";
  /** The attempt that the dialog shows: `link`, `dialog`, and `isWaiting` while the host permission is missing. */
  let attempt;

  function sign(options) {
    const id = crypto.randomUUID();
    return new Promise((resolve) => {
      const receive = ({ source, origin, data }) => {
        if (source !== window || origin !== location.origin || data?.type !== ANSWER || data.id !== id) return;
        removeEventListener("message", receive);
        resolve(data);
      };
      addEventListener("message", receive);
      postMessage({ type: ASK, id, options }, location.origin);
    });
  }

  /** Asks the background worker; its answer is `{ ok }`, `{ failure }` or `{ isPermissionMissing }`. */
  async function ask(message) {
    try {
      return await runtime.sendMessage(message);
    } catch {
      return { failure: "The extension was updated or switched off. Reload this page and open the link again." };
    }
  }

  function begin(link) {
    attempt?.dialog.close();
    const notices = ["Continue only if you are linking this device yourself: the server gets access to your WhatsApp account."];
    if (WharfLink.isReadableByOthers(link.server)) notices.push("The connection to this server is not encrypted. Others on the same network can read it.");
    const current = { link, isWaiting: false };
    const facts = [["Server", link.server], ["Device", link.device]];
    current.dialog = WharfDialog.show({ title: TITLE, facts, notices, onClose: () => attempt === current && (attempt = undefined) });
    attempt = current;
    void load(current);
  }

  async function load(current) {
    current.isWaiting = false;
    current.dialog.update("Asking the server for the passkey request …", []);
    const answer = await ask({ type: "options", link: current.link });
    const again = { label: "Try again", run: () => void load(current) };
    if (answer.isPermissionMissing) {
      current.isWaiting = true;
      current.dialog.update("The extension may not reach this server yet. Click Wharf passkey in the browser's toolbar (it may be in the menu of extensions) and choose Allow.", [again]);
    } else if (answer.failure) {
      current.dialog.update(answer.failure, [again]);
    } else {
      offer(current, answer.ok, "Your browser asks for the passkey of your WhatsApp account.");
    }
  }

  function offer(current, options, text) {
    current.dialog.update(text, [{ label: "Sign with passkey", run: () => void signAndSend(current, options) }]);
  }

  async function signAndSend(current, options) {
    current.dialog.update("Follow the instructions of your browser …", []);
    const { response, failure } = await sign(options);
    if (failure || typeof response !== "object") offer(current, options, failure ?? "The browser returned no response. Sign again.");
    else await send(current, options, response);
  }

  async function send(current, options, response) {
    current.dialog.update("Sending the response to the server …", []);
    const answer = await ask({ type: "response", link: current.link, response });
    if (!answer.failure && !answer.isPermissionMissing) {
      current.dialog.update("Done. Go back to Wharf: compare the code there with the one on your phone.", []);
      return;
    }
    const copy = async () => {
      const text = JSON.stringify(response);
      const isCopied = await navigator.clipboard.writeText(text).then(() => true, () => false);
      current.dialog.update(isCopied ? "The response is copied. Paste it into Wharf." : "The browser did not allow copying. Try again.", actions);
    };
    const actions = [
      { label: "Send again", run: () => void send(current, options, response) },
      { label: "Copy the response", run: () => void copy() },
      { label: "Sign again", run: () => void signAndSend(current, options) },
    ];
    current.dialog.update(answer.failure ?? "The extension may no longer reach this server. Allow it in the toolbar again, or copy the response into Wharf.", actions);
  }

  function whenReady(run) {
    if (document.readyState === "loading") addEventListener("DOMContentLoaded", run, { once: true });
    else run();
  }

  function readAddress() {
    let link;
    let sentence;
    try {
      link = WharfLink.read(location.hash);
    } catch (error) {
      sentence = error.message;
    }
    if (!link && !sentence) return;
    history.replaceState(null, "", location.pathname + location.search);
    if (link) whenReady(() => begin(link));
    else whenReady(() => WharfDialog.show({ title: TITLE, facts: [], notices: [], onClose: () => undefined }).update(sentence, []));
  }

  // The popup asks which server waits for a permission, and reports a granted one.
  runtime.onMessage.addListener((message, sender, answer) => {
    if (sender.id !== runtime.id) return;
    if (message?.type === "granted" && attempt?.isWaiting) void load(attempt);
    if (message?.type === "status") answer(attempt ? { server: attempt.link.server, device: attempt.link.device, isWaiting: attempt.isWaiting } : {});
  });
  // The popup may close before it can report.
  addEventListener("focus", () => attempt?.isWaiting && void load(attempt));
  addEventListener("hashchange", readAddress);
  readAddress();
})();
