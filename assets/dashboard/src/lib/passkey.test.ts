import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { consoleScript, passkeyLink, pastedResponse, signingPage } from "./passkey";

describe("link for the extension", () => {
  it("carries server, device and ticket in its fragment", () => {
    const link = new URL(passkeyLink("https://web.whatsapp.com/", "http://192.168.1.5:3000/prefix", "shop", "secret~ticket>?"));
    expect(link.origin + link.pathname + link.search).toBe("https://web.whatsapp.com/");
    const [name, text] = link.hash.split("=");
    expect(name).toBe("#wharf-passkey");
    expect(text).toMatch(/^[A-Za-z0-9_-]+$/);
    expect(JSON.parse(Buffer.from(text!, "base64url").toString("utf8"))).toEqual({ server: "http://192.168.1.5:3000/prefix", device: "shop", ticket: "secret~ticket>?" });
  });
  it("leads to an https page only", () => {
    expect(signingPage("https://web.whatsapp.com/x")).toBe("https://web.whatsapp.com/x");
    for (const url of [undefined, "", "javascript:alert(1)", "http://web.whatsapp.com/", "https:///x"]) expect(signingPage(url)).toBe("https://web.whatsapp.com/");
  });
});

describe("console script", () => {
  const text = readFileSync(new URL("../../../passkey-extension/console.js", import.meta.url), "utf8");
  it("contains the options instead of the placeholder", () => {
    const options = { challenge: "a$&b$'c", rpId: "whatsapp.com" };
    expect(consoleScript(options)).toBe(text.split("__WHARF_PASSKEY_OPTIONS__").join(JSON.stringify(options)));
    expect(consoleScript(options)).toContain(`const options = ${JSON.stringify(options)};`);
  });
});

describe("pasted response", () => {
  it("is read with the quotes of a console", () => {
    const json = { id: "abc", response: { signature: "x" } };
    const text = JSON.stringify(json);
    for (const pasted of [text, `\n ${text} \n`, `'${text}'`, JSON.stringify(text)]) expect(pastedResponse(pasted)).toEqual(json);
  });
  it("is undefined for anything else", () => {
    for (const pasted of ["", "abc", "[]", "null", "7", '"text"', '{"id":']) expect(pastedResponse(pasted)).toBeUndefined();
  });
});
