import type { Conversation } from "../../chat/conversation";
import type { Message } from "../../chat/message_store";
import { number, t, tn } from "../../i18n";
import { readableId, visible } from "../../lib/text";
import { Name, ui } from "../../ui/basics";
import { attempt } from "../../ui/dialog";
import { Icon } from "../../ui/icons";
import { maySend, refusal } from "./words";
import css from "./chats.module.css";

/** The answers with their votes; a click on an answer votes, or takes the own vote back. */
export function PollView({ message, conversation, engine }: { message: Message; conversation: Conversation; engine: string }) {
  const poll = message.poll!;
  const own = poll.votes.find((vote) => vote.voter === conversation.ownId)?.options ?? [];
  const refused = refusal(engine, "polls");
  const vote = (option: string) => {
    const others = poll.allowMultipleAnswers ? own.filter((other) => other !== option) : [];
    const next = own.includes(option) ? others : [...others, option];
    void attempt(() => conversation.vote(message, next));
  };
  return (
    <div class={css.poll} role="group" aria-label={visible(poll.name)}>
      <strong><Name>{poll.name}</Name></strong>
      <span class={`${ui.muted} ${ui.smallText}`}>{poll.allowMultipleAnswers ? t("poll.several") : t("poll.one")}</span>
      {poll.options.map((option) => {
        const voters = poll.votes.filter((given) => given.options.includes(option)).map((given) => (given.voter === conversation.ownId ? t("chat.you") : readableId(given.voter)));
        return (
          <button key={option} type="button" class={css.option} aria-pressed={own.includes(option)} disabled={!maySend() || Boolean(refused)} title={refused ?? visible(voters.join(", "))} onClick={() => vote(option)}>
            <span class={css.mark}>{own.includes(option) && <Icon name="check" size={16} />}</span>
            <span class={ui.grow}><Name>{option}</Name></span>
            <span class={ui.muted}><span aria-hidden="true">{number(voters.length)}</span><span class="visually-hidden">{tn("poll.votes", voters.length)}</span></span>
            <progress max={Math.max(1, poll.votes.length)} value={voters.length} aria-hidden="true" />
          </button>
        );
      })}
    </div>
  );
}
