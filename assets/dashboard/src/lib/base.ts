/** The path below which the daemon is reached, without a final slash: empty, or a proxy's prefix. */
export const basePath = new URL(".", document.baseURI).pathname.replace(/\/$/, "");

/** A URL of the API on the page's own origin, below the proxy's prefix. Signed media URLs keep their query. */
export function ownUrl(url: string): string {
  const at = url.indexOf("/api/v1/");
  return at < 0 ? "" : `${basePath}${url.slice(at)}`;
}
