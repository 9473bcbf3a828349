import { useMemo, useState } from "preact/hooks";
import { t } from "../i18n";
import { spans } from "../lib/text";

const MAX_SHOWN = 4000;

/** A message's text: WhatsApp's marks and http(s) links, everything else plain. Very long texts are cut at first. */
export function RichText({ text }: { text: string }) {
  const [isWhole, setWhole] = useState(false);
  const shown = isWhole || text.length <= MAX_SHOWN ? text : text.slice(0, MAX_SHOWN);
  const parts = useMemo(() => spans(shown), [shown]);
  return (
    <bdi>
      {parts.map((span, at) => {
        if (span.link) return <a key={at} href={span.link} target="_blank" rel="noopener noreferrer">{span.text}</a>;
        if (span.mark === "bold") return <strong key={at}>{span.text}</strong>;
        if (span.mark === "italic") return <em key={at}>{span.text}</em>;
        if (span.mark === "strike") return <s key={at}>{span.text}</s>;
        if (span.mark === "code") return <code key={at}>{span.text}</code>;
        return span.text;
      })}
      {shown !== text && <>… <button type="button" onClick={() => setWhole(true)}>{t("message.more")}</button></>}
    </bdi>
  );
}
