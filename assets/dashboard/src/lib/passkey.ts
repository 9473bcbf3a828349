import consoleText from "../../../passkey-extension/console.js?raw";

const OPEN_URL = "https://web.whatsapp.com/";
const PLACEHOLDER = "__WHARF_PASSKEY_OPTIONS__";

/** The page on which a passkey can be signed: an address of another kind is not followed. */
export function signingPage(openUrl: string | undefined): string {
  return openUrl && /^https:\/\/[^/]/.test(openUrl) ? openUrl : OPEN_URL;
}

/** The link that the browser extension reads. */
export function passkeyLink(openUrl: string | undefined, server: string, device: string, ticket: string): string {
  const bytes = new TextEncoder().encode(JSON.stringify({ server, device, ticket }));
  const text = btoa(Array.from(bytes, (byte) => String.fromCharCode(byte)).join("")).replace(/\+/g, "-").replace(/\//g, "_").replace(/=+$/, "");
  return `${signingPage(openUrl).replace(/#.*$/, "")}#wharf-passkey=${text}`;
}

/** The script for the console of WhatsApp Web, with the request options filled in. */
export function consoleScript(options: unknown): string {
  return consoleText.replace(PLACEHOLDER, () => JSON.stringify(options));
}

/** A pasted response as an object, or undefined. */
export function pastedResponse(text: string): Record<string, unknown> | undefined {
  try {
    // Consoles print texts in quotes.
    const value: unknown = JSON.parse(text.trim().replace(/^'([^]*)'$/, "$1"));
    const json: unknown = typeof value === "string" ? JSON.parse(value) : value;
    return typeof json === "object" && json !== null && !Array.isArray(json) ? (json as Record<string, unknown>) : undefined;
  } catch {
    return undefined;
  }
}
