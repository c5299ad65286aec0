import type { Finding } from "../db/readiness_checks.ts";
import { printable } from "../terminal.ts";
import { NOT_CHECKED } from "./findings.ts";

/** How a table is shown. */
export interface Shown {
  /** Columns of the terminal; undefined: lines are as long as they are. */
  readonly width?: number | undefined;
  readonly hasColors?: boolean;
}

type Level = Finding["level"];

/** What needs something to be done comes last, above the sum. */
const ORDER: readonly Level[] = ["ok", "note", "warning", "failure"];
const COLORS: Readonly<Record<Level, string>> = {
  ok: "32",
  note: "36",
  warning: "33",
  failure: "31",
};
const MIN_TEXT = 30;
const ALL_IS_WELL = "all is well";

/** A table for people: what to do stands below what is wrong. */
export function textOf(findings: readonly Finding[], shown: Shown = {}): string {
  const rows = shortened(findings);
  const widths = {
    level: Math.max(...ORDER.map(({ length }) => length)),
    check: Math.max(...rows.map(({ check }) => check.length)),
  };
  const indent = " ".repeat(widths.level + widths.check + 4);
  const room = shown.width === undefined
    ? Infinity
    : Math.max(shown.width - indent.length - 2, MIN_TEXT);
  const lines = ORDER.flatMap((level) => rows.filter((one) => one.level === level))
    .flatMap(({ level, check, message, todo }) => {
      const [first, ...rest] = wrapped(message, room);
      const name = (level === "failure" ? "FAILURE" : level).padEnd(widths.level);
      return [
        `${painted(name, level, shown)}  ${check.padEnd(widths.check)}  ${first}`,
        ...rest.map((line) => `${indent}${line}`),
        ...(todo === undefined
          ? []
          : wrapped(todo, room).map((line, at) => `${indent}${at === 0 ? "→" : " "} ${line}`)),
      ];
    });
  return `${lines.join("\n")}\n\n${sumOf(findings, shown)}`;
}

/** Checks that couldn't be made for the same reason share a row. */
function shortened(findings: readonly Finding[]): readonly Finding[] {
  const groups = Map.groupBy(
    findings,
    ({ message, todo }) => message.startsWith(NOT_CHECKED) ? `${message}${todo}` : undefined,
  );
  return [
    ...groups.get(undefined) ?? [],
    ...[...groups].flatMap(([key, [first, ...others]]) =>
      key === undefined || first === undefined ? [] : [
        others.length === 0 ? first : {
          ...first,
          check: "not checked",
          message: `${[first, ...others].map(({ check }) => check).join(", ")}: ` +
            first.message.slice(NOT_CHECKED.length),
        },
      ]
    ),
  ];
}

function painted(text: string, level: Level, { hasColors = false }: Shown): string {
  return hasColors ? `\x1b[${COLORS[level]}m${text}\x1b[0m` : text;
}

function sumOf(findings: readonly Finding[], shown: Shown): string {
  const count = (level: Level) => findings.filter((finding) => finding.level === level).length;
  const [failures, warnings, notes] = [count("failure"), count("warning"), count("note")];
  const counts = [
    `${failures} ${failures === 1 ? "failure" : "failures"}`,
    `${warnings} ${warnings === 1 ? "warning" : "warnings"}`,
    `${notes} ${notes === 1 ? "note" : "notes"}`,
  ].join(", ");
  if (failures > 0) return painted(counts, "failure", shown);
  return warnings > 0
    ? painted(counts, "warning", shown)
    : `${counts}\n${painted(ALL_IS_WELL, "ok", shown)}`;
}

/** Lines of words; a longer word has a line of its own, so that it can be copied. */
function wrapped(text: string, room: number): readonly string[] {
  const lines: string[] = [];
  let line = "";
  for (const word of printable(text).split(" ")) {
    if (line !== "" && line.length + 1 + word.length > room) {
      lines.push(line);
      line = word;
    } else line = line === "" ? word : `${line} ${word}`;
  }
  return [...lines, line];
}

/** For programs: `ok` is false when something has failed. */
export function jsonOf(findings: readonly Finding[]): string {
  return JSON.stringify(
    {
      ok: findings.every(({ level }) => level !== "failure"),
      findings: findings.map(({ check, level, message, todo }) => ({
        check,
        level,
        message,
        todo,
      })),
    },
    undefined,
    2,
  );
}
