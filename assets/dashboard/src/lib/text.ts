// Bidirectional controls and other invisible characters of names: shown, because they can disguise a name.
const CONTROLS = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u061c\u200b\u200e\u200f\u202a-\u202e\u2060-\u2069\ufeff]/g;

/** The text with control characters as visible symbols. */
export function visible(text: string): string {
  return text.replace(CONTROLS, (char) => `⟨U+${char.charCodeAt(0).toString(16).toUpperCase().padStart(4, "0")}⟩`);
}

export type Mark = "bold" | "italic" | "strike" | "code";
export type Span = { text: string; mark?: Mark; link?: string };

const LINK = /\bhttps?:\/\/[^\s<>"'`]+/giu;
const MARKED = /(?<![\p{L}\p{N}])(?:```([^`]+)```|`([^`\n]+)`|\*(?! )([^*\n]+?)(?<! )\*|_(?! )([^_\n]+?)(?<! )_|~(?! )([^~\n]+?)(?<! )~)(?![\p{L}\p{N}])/gu;
const MAX_SPANS = 2000;

/** The spans of a message: WhatsApp's marks, and http(s) links. Everything else stays plain text. */
export function spans(text: string): Span[] {
  const result: Span[] = [];
  let at = 0;
  for (const link of text.matchAll(LINK)) {
    if (result.length > MAX_SPANS) break;
    const url = trimmed(link[0]);
    if (!isWebLink(url)) continue;
    result.push(...marked(text.slice(at, link.index)), { text: url, link: url });
    at = link.index + url.length;
  }
  result.push(...marked(text.slice(at)));
  return result;
}

function trimmed(url: string): string {
  return url.replace(/[.,;:!?)\]}*_~]+$/, "");
}

function isWebLink(url: string): boolean {
  try {
    return ["http:", "https:"].includes(new URL(url).protocol);
  } catch {
    return false;
  }
}

function marked(text: string): Span[] {
  const result: Span[] = [];
  let at = 0;
  for (const match of text.matchAll(MARKED)) {
    if (result.length > MAX_SPANS) break;
    if (match.index > at) result.push({ text: text.slice(at, match.index) });
    const [whole, block, code, bold, italic, strike] = match;
    const inner = block ?? code ?? bold ?? italic ?? strike ?? "";
    const mark: Mark = block !== undefined || code !== undefined ? "code" : bold !== undefined ? "bold" : italic !== undefined ? "italic" : "strike";
    result.push({ text: inner, mark });
    at = match.index + whole.length;
  }
  if (at < text.length) result.push({ text: text.slice(at) });
  return result;
}

/** A phone number or the id itself, for a chat without a name. */
export function readableId(id: string): string {
  const [user = "", server] = id.split("@");
  return (server === "c.us" || server === undefined) && /^\d+$/.test(user) ? `+${user}` : id;
}
