// The link that starts the signing, the addresses of the daemon, and sentences about its refusals.
// Pure functions, for the content script, the background worker and the popup.
"use strict";

globalThis.WharfLink = (() => {
  const PREFIX = "#wharf-passkey=";
  const MAX_LINK = 4096;
  const MAX_FIELD = 512;
  const DAMAGED = "This link is damaged. Get a new one from Wharf.";

  const isText = (value) => typeof value === "string" && value.length > 0 && value.length <= MAX_FIELD;

  function fail(sentence) {
    throw new Error(sentence);
  }

  function decode(text) {
    try {
      const binary = atob(text.replace(/-/g, "+").replace(/_/g, "/"));
      const json = new TextDecoder("utf-8", { fatal: true }).decode(Uint8Array.from(binary, (char) => char.charCodeAt(0)));
      return JSON.parse(json);
    } catch {
      return fail(DAMAGED);
    }
  }

  /** The address of the daemon without a slash at its end. A path prefix of a proxy stays. */
  function serverAddress(text) {
    const url = URL.canParse(text) ? new URL(text) : fail("The server's address in this link is not valid. Get a new link from Wharf.");
    if (url.protocol !== "https:" && url.protocol !== "http:") fail("The server's address in this link must begin with https:// or http://.");
    if (url.username || url.password || url.search || url.hash) fail("The server's address in this link has parts that it must not have. Get a new link from Wharf.");
    return url.origin + url.pathname.replace(/\/+$/, "");
  }

  /** Checks a link's fields, also of one that a message brought. */
  function check(fields) {
    if (typeof fields !== "object" || fields === null) fail(DAMAGED);
    const { server, device, ticket } = fields;
    if (!isText(server) || !isText(device) || !isText(ticket)) fail(DAMAGED);
    // A header and a path segment carry them.
    if (!/^[\x21-\x7e]+$/.test(ticket) || !/^[A-Za-z0-9_-]{1,64}$/.test(device)) fail(DAMAGED);
    return { server: serverAddress(server), device, ticket };
  }

  /** The fields of `#wharf-passkey=…`; undefined for every other fragment. Throws a sentence for a person. */
  function read(fragment) {
    if (!fragment.startsWith(PREFIX)) return undefined;
    const text = fragment.slice(PREFIX.length);
    if (text.length > MAX_LINK || !/^[A-Za-z0-9_-]+$/.test(text)) fail(DAMAGED);
    return check(decode(text));
  }

  /** Match patterns have no port in Firefox; without one every port of the host matches. */
  function originPattern(server) {
    const { protocol, hostname } = new URL(server);
    return `${protocol}//${hostname}/*`;
  }

  /** True if others on the way can read what is sent there. */
  function isReadableByOthers(server) {
    const { protocol, hostname } = new URL(server);
    return protocol === "http:" && !/^(localhost|.+\.localhost|127(\.\d+){3}|\[::1\])$/.test(hostname);
  }

  const passkeyUrl = ({ server, device }) => `${server}/api/v1/devices/${encodeURIComponent(device)}/passkey`;
  const responseUrl = (link) => `${passkeyUrl(link)}/response`;

  /** Why the daemon refused a call, and what to do. */
  function refusal(status, body) {
    const code = typeof body?.code === "string" ? body.code : "";
    const sentence = typeof body?.error === "string" ? body.error.slice(0, MAX_FIELD) : "";
    if (code === "no_passkey_pending") return "The server no longer waits for a passkey. Start the linking again in Wharf.";
    if (code === "passkey_response_invalid") return `The server did not accept the response: ${sentence || "it is not valid."} Sign again.`;
    if (status === 401 || status === 403) return "This link has expired, or it belongs to an earlier attempt. Get a new link from Wharf.";
    if (status === 404) return "The server does not have this device, or it is not a Wharf server that supports passkeys.";
    if (status === 429) return "The server got too many requests. Wait a minute, then try again.";
    return sentence ? `The server refused the request: ${sentence}` : `The server answered with the status ${status}. Try again, or start the linking again in Wharf.`;
  }

  /** The request options out of the daemon's answer. Throws a sentence for a person. */
  function optionsOf(body) {
    const data = body?.data;
    if (data?.stage === "confirmation") fail("The passkey was signed already. Go back to Wharf and compare the code.");
    if (typeof data?.options?.challenge !== "string") fail("The server sent no passkey request. Check that its version supports passkeys.");
    return data.options;
  }

  return { read, check, originPattern, isReadableByOthers, passkeyUrl, responseUrl, refusal, optionsOf };
})();
