import type { Effects } from "../http/effects.ts";

const fail = (): never => {
  throw new Error("no effect was expected");
};

/** For what has none; a refusal is held back as ever. */
export const NO_EFFECTS: Effects = {
  write: fail,
  forgetTrace: fail,
  login: {
    consumeThrottle: fail,
    write: fail,
    issueToken: fail,
    rehashes: true,
    noteLongPassword: fail,
    onOutcome: fail,
  },
  holdsBack: true,
};
