import { useState } from "preact/hooks";
import { ApiFailure } from "../api/client";
import { isExpired, loadSession, sessionFailure, signIn } from "../api/session";
import { t, tn } from "../i18n";
import { Button, Field, failureText, Notice, ui } from "../ui/basics";
import { Dialog } from "../ui/dialog";
import css from "../shell.module.css";
import icon from "../styles/icon.svg";

function refusal(error: unknown): string {
  if (!(error instanceof ApiFailure)) return failureText(error);
  if (error.status === 401) return t("signIn.wrongKey");
  if (error.status === 429) return tn("signIn.tooManyTries", Math.ceil(error.retryAfterMs / 1000));
  if (error.status === 0 || error.status === 502 || error.status === 503) return t("signIn.unreachable");
  return failureText(error);
}

function KeyForm() {
  const [key, setKey] = useState("");
  const [error, setError] = useState<unknown>(null);
  const [isBusy, setBusy] = useState(false);
  const submit = async (event: Event) => {
    event.preventDefault();
    if (!key.trim()) {
      setError(new Error(t("signIn.empty")));
      return;
    }
    setBusy(true);
    setError(null);
    try {
      await signIn(key.trim());
    } catch (failure) {
      setError(failure);
      setBusy(false);
    }
  };
  return (
    <form class={ui.stack} onSubmit={submit} noValidate>
      {/* A password manager stores the key below this name. */}
      <input class="visually-hidden" type="text" name="username" autocomplete="username" value="wharf" tabIndex={-1} aria-hidden="true" readOnly />
      <Field label={t("signIn.key")} hint={t("signIn.hint")}>
        {(field) => <input {...field} type="password" name="password" autocomplete="current-password" spellcheck={false} autoFocus value={key} onInput={(event) => setKey(event.currentTarget.value)} />}
      </Field>
      {error !== null && <Notice tone="bad" alert>{refusal(error)}</Notice>}
      <Button type="submit" variant="primary" busy={isBusy}>{t("signIn.action")}</Button>
    </form>
  );
}

export function SignIn() {
  return (
    <main class={css.signIn}>
      <div class={css.signInCard}>
        <div class={css.signInHead}>
          <img src={icon} alt="" />
          <h1>{t("signIn.title")}</h1>
          <p class={ui.muted}>{t("signIn.text")}</p>
        </div>
        <KeyForm />
      </div>
    </main>
  );
}

/** Asks for the key over the page, so that nothing typed is lost. */
export function SignInAgain() {
  if (!isExpired.value) return null;
  return (
    <Dialog title={t("signIn.again")}>
      <p>{t("signIn.againText")}</p>
      <KeyForm />
    </Dialog>
  );
}

export function Unreachable() {
  const failure = sessionFailure.value;
  return (
    <main class={css.signIn}>
      <div class={css.signInCard}>
        <div class={css.signInHead}><img src={icon} alt="" /><h1>{t("signIn.unreachableTitle")}</h1></div>
        <Notice tone="bad" alert>{failure ? refusal(failure) : ""}</Notice>
        <Button variant="primary" icon="refresh" onClick={() => void loadSession()}>{t("action.retry")}</Button>
      </div>
    </main>
  );
}
