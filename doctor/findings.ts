import type { Finding } from "../db/readiness_checks.ts";

export const ok = (check: string, message: string): Finding => ({ check, level: "ok", message });

/** Something to know; nothing has to be done. */
export const note = (check: string, message: string, todo?: string): Finding => ({
  check,
  level: "note",
  message,
  ...(todo !== undefined && { todo }),
});

/** Lotline works; something is unsafe, or will fail later. */
export const warning = (check: string, message: string, todo: string): Finding => ({
  check,
  level: "warning",
  message,
  todo,
});

/** Something of Lotline doesn't work. */
export const failure = (check: string, message: string, todo: string): Finding => ({
  check,
  level: "failure",
  message,
  todo,
});

/** Begins the message of a check that couldn't be made. */
export const NOT_CHECKED = "Not checked: ";

export const notChecked = (check: string, why: string): Finding =>
  note(check, `${NOT_CHECKED}${why}`);

/** The advice of a problem with the setting that has the address. */
export const adviceFor = (todo: string, setting: string): string =>
  todo.replace("DATABASE_URL", setting);
