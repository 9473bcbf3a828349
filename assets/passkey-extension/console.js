// Wharf: signs the passkey request of a device that you link. Use it in the console of https://web.whatsapp.com only.
// It sends nothing. Paste the response that it shows into Wharf.
(() => {
  "use strict";
  const options = __WHARF_PASSKEY_OPTIONS__;

  const toBytes = (text) => Uint8Array.from(atob(text.replace(/-/g, "+").replace(/_/g, "/")), (char) => char.charCodeAt(0));
  const toText = (buffer) => btoa(Array.from(new Uint8Array(buffer), (byte) => String.fromCharCode(byte)).join("")).replace(/\+/g, "-").replace(/\//g, "_").replace(/=+$/, "");

  const requestOptions = () => {
    if (typeof PublicKeyCredential.parseRequestOptionsFromJSON === "function") return PublicKeyCredential.parseRequestOptionsFromJSON(options);
    const allowCredentials = (options.allowCredentials ?? []).map((item) => ({ ...item, id: toBytes(item.id) }));
    return { ...options, challenge: toBytes(options.challenge), allowCredentials };
  };

  const credentialJson = (credential) => {
    try {
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
  };

  const SENTENCES = {
    NotAllowedError: "The browser did not sign: the request was cancelled, took too long, or no passkey of this account is here. Sign again and choose the device that has the passkey.",
    SecurityError: `This page may not use the passkey of ${options.rpId ?? "this account"}. Paste the script into the console of https://web.whatsapp.com.`,
    NotSupportedError: "This browser cannot use the passkey. Try a current version of Chrome, Edge or Firefox.",
    EncodingError: "The passkey request in the script is not valid. Copy the script again from Wharf.",
    TypeError: "The passkey request in the script is not valid. Copy the script again from Wharf.",
    AbortError: "Another passkey request of this page was in the way. Sign again.",
  };

  const element = (name, text, attributes = {}) => {
    const made = document.createElement(name);
    made.textContent = text;
    for (const [attribute, value] of Object.entries(attributes)) made.setAttribute(attribute, value);
    return made;
  };
  // A dialog: browsers sign only while the page has the focus, and here the console has it.
  const dialog = element("dialog", "", { "aria-labelledby": "wharf-passkey-title" });
  dialog.style.cssText = "box-sizing: border-box; width: 32rem; max-width: calc(100vw - 1rem); margin: auto; padding: 1.25rem; border: 1px solid GrayText; border-radius: 12px; background: Canvas; color: CanvasText; color-scheme: light dark; font: 16px/1.5 system-ui, sans-serif";
  const title = element("h2", "Link a device to Wharf", { id: "wharf-passkey-title" });
  const status = element("p", "Your browser asks for the passkey of your WhatsApp account.", { role: "status" });
  const output = element("textarea", "", { readonly: "", rows: "6", "aria-label": "Response for Wharf" });
  output.style.cssText = "box-sizing: border-box; width: 100%; font: 13px/1.4 monospace; background: Field; color: FieldText";
  output.style.display = "none";
  const buttons = ["Sign with passkey", "Copy the response", "Close"].map((label) => element("button", label, { type: "button" }));
  for (const button of buttons) button.style.cssText = "font: inherit; min-height: 2.5rem; margin: 0.5rem 0.5rem 0 0; padding: 0.25rem 1rem; border: 1px solid GrayText; border-radius: 6px; background: ButtonFace; color: ButtonText; cursor: pointer";
  const [sign, copy, close] = buttons;
  copy.style.display = "none";
  dialog.append(title, status, output, sign, copy, close);
  for (const type of ["keydown", "keypress", "keyup"]) dialog.addEventListener(type, (event) => event.stopPropagation());

  const copyText = () => navigator.clipboard.writeText(output.value).then(
    () => { status.textContent = "Signed. The response is copied: paste it into Wharf."; },
    () => {
      status.textContent = "Signed. Copy this response into Wharf.";
      output.select();
    },
  );
  sign.addEventListener("click", async () => {
    if (typeof PublicKeyCredential === "undefined") {
      status.textContent = SENTENCES.NotSupportedError;
      return;
    }
    sign.disabled = true;
    status.textContent = "Follow the instructions of your browser …";
    try {
      output.value = JSON.stringify(credentialJson(await navigator.credentials.get({ publicKey: requestOptions() })));
      output.style.display = copy.style.display = "";
      console.log(output.value);
      await copyText();
      copy.focus();
    } catch (error) {
      status.textContent = SENTENCES[error?.name] ?? `The browser did not sign: ${error?.message || "unknown error"}.`;
    }
    sign.disabled = false;
  });
  copy.addEventListener("click", copyText);
  close.addEventListener("click", () => dialog.close());
  dialog.addEventListener("close", () => dialog.remove());
  document.body.append(dialog);
  dialog.showModal();
})();
