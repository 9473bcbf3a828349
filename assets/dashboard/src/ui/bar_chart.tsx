import { useState } from "preact/hooks";
import { number, t } from "../i18n";
import { roundedUp } from "../lib/scale";
import { Button, Card, cx, ui } from "./basics";
import css from "./bar_chart.module.css";

const WIDTH = 600;
const HEIGHT = 160;
const GAP = 0.25;

export interface Series {
  name: string;
  tone: "accent" | "info" | "bad";
  values: number[];
}

interface Props {
  title: string;
  /** The name of each bar, as in the table. */
  labels: string[];
  series: Series[];
  /** Further columns of the table. */
  columns?: { name: string; values: string[] }[];
}

function Bars({ title, labels, series }: Props) {
  const sums = labels.map((_, at) => series.reduce((sum, { values }) => sum + (values[at] ?? 0), 0));
  const top = roundedUp(Math.max(...sums));
  const slot = WIDTH / labels.length;
  return (
    <div class={css.chart}>
      <div class={css.scale} aria-hidden="true"><span>{number(top)}</span><span>{number(top / 2)}</span><span>0</span></div>
      <svg class={css.plot} viewBox={`0 0 ${WIDTH} ${HEIGHT}`} preserveAspectRatio="none" role="img" aria-label={t("chart.summary", { title, total: number(sums.reduce((a, b) => a + b, 0)) })}>
        {[0, HEIGHT / 2, HEIGHT].map((y) => <line key={y} class={css.grid} x1="0" x2={WIDTH} y1={y} y2={y} vector-effect="non-scaling-stroke" />)}
        {labels.map((label, at) => {
          let base = HEIGHT;
          return (
            <g key={label} class={css.slot}>
              <title>{`${label}: ${series.map(({ name, values }) => `${name} ${number(values[at] ?? 0)}`).join(", ")}`}</title>
              <rect class={css.target} x={at * slot} y="0" width={slot} height={HEIGHT} />
              {series.map(({ name, tone, values }) => {
                const height = ((values[at] ?? 0) / top) * HEIGHT;
                base -= height;
                return height > 0 && <rect key={name} class={css[tone]} x={at * slot + (slot * GAP) / 2} y={base} width={slot * (1 - GAP)} height={height} />;
              })}
            </g>
          );
        })}
      </svg>
      <div class={css.labels} aria-hidden="true"><span>{labels[0]}</span><span>{labels[Math.floor(labels.length / 2)]}</span><span>{labels.at(-1)}</span></div>
    </div>
  );
}

function Table({ title, labels, series, columns = [] }: Props) {
  // The newest first, as in other lists.
  const order = labels.map((_, at) => labels.length - 1 - at);
  return (
    <div class={cx(ui.tableWrap, css.table)} tabIndex={0} role="region" aria-label={title}>
      <table class={ui.table}>
        <thead><tr><th>{t("chart.time")}</th>{series.map(({ name }) => <th key={name} class={ui.end}>{name}</th>)}{columns.map(({ name }) => <th key={name} class={ui.end}>{name}</th>)}</tr></thead>
        <tbody>
          {order.map((at) => (
            <tr key={labels[at]}><th scope="row">{labels[at]}</th>{series.map(({ name, values }) => <td key={name} class={ui.end}>{number(values[at] ?? 0)}</td>)}{columns.map(({ name, values }) => <td key={name} class={ui.end}>{values[at]}</td>)}</tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

/** Stacked bars over time, with the same numbers as a table. */
export function BarChart(props: Props) {
  const [isTable, setTable] = useState(false);
  return (
    <Card title={props.title} actions={<Button size="small" aria-pressed={isTable} onClick={() => setTable(!isTable)}>{t("chart.asTable")}</Button>}>
      {props.series.length > 1 && !isTable && <div class={css.legend}>{props.series.map(({ name, tone }) => <span key={name}><i class={cx(css.swatch, css[tone])} aria-hidden="true" />{name}</span>)}</div>}
      {isTable ? <Table {...props} /> : <Bars {...props} />}
    </Card>
  );
}
