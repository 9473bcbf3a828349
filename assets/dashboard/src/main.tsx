import { render } from "preact";
import { loadSession } from "./api/session";
import { App } from "./app";
import { direction, language } from "./i18n";
import { followPushClicks } from "./lib/push";
import { followHash } from "./lib/router";
import { applyTheme } from "./lib/theme";
import "./styles/base.css";

document.documentElement.lang = language;
document.documentElement.dir = direction;
applyTheme();
followHash();
followPushClicks();
void loadSession();
render(<App />, document.getElementById("app")!);
