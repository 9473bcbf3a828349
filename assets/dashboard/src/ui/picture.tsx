import { useState } from "preact/hooks";
import css from "./ui.module.css";

const MAX_MISSING = 2000;
/** Pictures that could not be loaded: they are not requested again by this page. */
const missing = new Set<string>();

/** A picture over the initials of an avatar; nothing until it is loaded. */
export function Picture({ url }: { url: string }) {
  const [loaded, setLoaded] = useState("");
  const [failed, setFailed] = useState("");
  if (missing.has(url) || failed === url) return null;
  const fail = () => {
    if (missing.size >= MAX_MISSING) missing.clear();
    missing.add(url);
    setFailed(url);
  };
  return <img class={css.picture} src={url} alt="" loading="lazy" decoding="async" data-loaded={loaded === url} onLoad={() => setLoaded(url)} onError={fail} />;
}
