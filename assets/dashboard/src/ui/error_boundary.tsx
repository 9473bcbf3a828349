import { Component, type ComponentChildren } from "preact";
import { session } from "../api/session";
import { t } from "../i18n";
import { Button, CopyButton, Empty, ui } from "./basics";

interface Failed {
  error?: Error;
}

/** Shows a failed page with *reload* and a report without message texts. Another route shows its page again. */
export class ErrorBoundary extends Component<{ children: ComponentChildren; name: string; route: string }, Failed> {
  override state: Failed = {};

  static override getDerivedStateFromError(error: Error): Failed {
    return { error };
  }

  override componentDidUpdate(before: { route: string }): void {
    if (this.state.error && before.route !== this.props.route) this.setState({ error: undefined });
  }

  override render() {
    const { error } = this.state;
    if (!error) return this.props.children;
    // The stack names functions only; the message of an error can contain data.
    const stack = (error.stack ?? "").split("\n").filter((line) => /^\s*at /.test(line)).slice(0, 8).join("\n");
    const report = `Wharf ${session.value?.server.version ?? "?"}, page ${this.props.name}, ${error.name}\n${stack}`;
    return (
      <Empty icon="warning" title={t("boundary.title")} action={
        <div class={ui.row}><Button variant="primary" onClick={() => location.reload()}>{t("action.reload")}</Button><CopyButton text={report} label={t("boundary.copy")} /></div>
      }>{t("boundary.text")}</Empty>
    );
  }
}

/** Shows something else in place of a part that cannot be shown. */
export class Contained extends Component<{ children: ComponentChildren; fallback: ComponentChildren }, Failed> {
  override state: Failed = {};

  static override getDerivedStateFromError(error: Error): Failed {
    return { error };
  }

  override render() {
    return this.state.error ? this.props.fallback : this.props.children;
  }
}
