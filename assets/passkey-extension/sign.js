// Signs in the page's own world, where password managers replace `navigator.credentials.get`.
// The ticket and the server's address never come here: only the request options and the response do.
"use strict";

(() => {
  const ASK = "wharf-passkey:sign";
  const ANSWER = "wharf-passkey:signed";

  const toBytes = (text) => Uint8Array.from(atob(text.replace(/-/g, "+").replace(/_/g, "/")), (char) => char.charCodeAt(0));
  const toText = (buffer) => btoa(Array.from(new Uint8Array(buffer), (byte) => String.fromCharCode(byte)).join("")).replace(/\+/g, "-").replace(/\//g, "_").replace(/=+$/, "");

  function requestOptions(json) {
    if (typeof PublicKeyCredential.parseRequestOptionsFromJSON === "function") return PublicKeyCredential.parseRequestOptionsFromJSON(json);
    const allowCredentials = (json.allowCredentials ?? []).map((item) => ({ ...item, id: toBytes(item.id) }));
    return { ...json, challenge: toBytes(json.challenge), allowCredentials };
  }

  function credentialJson(credential) {
    try {
      // Credentials of some password managers have no such function, or one that throws.
      return credential.toJSON();
    } catch {
      const { clientDataJSON, authenticatorData, signature, userHandle } = credential.response;
      return {
        id: credential.id,
        rawId: toText(credential.rawId),
        type: credential.type,
        ...(credential.authenticatorAttachment ? { authenticatorAttachment: credential.authenticatorAttachment } : {}),
        clientExtensionResults: credential.getClientExtensionResults?.() ?? {},
        response: {
          clientDataJSON: toText(clientDataJSON),
          authenticatorData: toText(authenticatorData),
          signature: toText(signature),
          ...(userHandle?.byteLength ? { userHandle: toText(userHandle) } : {}),
        },
      };
    }
  }

  /** Why the browser did not sign, and what to do. */
  function failure(error, options) {
    switch (error?.name) {
      case "NotAllowedError":
        return "The browser did not sign: the request was cancelled, took too long, or no passkey of this account is here. Sign again and choose the device that has the passkey.";
      case "SecurityError":
        return `This page may not use the passkey of ${options?.rpId ?? "this account"}. Open the link on https://web.whatsapp.com.`;
      case "NotSupportedError":
        return "This browser cannot use the passkey. Try a current version of Chrome, Edge or Firefox.";
      case "EncodingError":
      case "TypeError":
        return "The passkey request from the server is not valid. Start the linking again in Wharf.";
      case "AbortError":
        return "Another passkey request of this page was in the way. Sign again.";
      default:
        return `The browser did not sign: ${error?.message || error?.name || "unknown error"}.`;
    }
  }

  async function sign(options) {
    if (typeof PublicKeyCredential === "undefined") return { failure: "This browser does not support passkeys. Try a current version of Chrome, Edge or Firefox." };
    try {
      const credential = await navigator.credentials.get({ publicKey: requestOptions(options) });
      return credential ? { response: credentialJson(credential) } : { failure: "The browser returned no passkey. Sign again." };
    } catch (error) {
      return { failure: failure(error, options) };
    }
  }

  addEventListener("message", async ({ source, origin, data }) => {
    if (source !== window || origin !== location.origin || data?.type !== ASK) return;
    postMessage({ type: ANSWER, id: data.id, ...(await sign(data.options)) }, location.origin);
  });
})();
