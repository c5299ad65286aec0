import type { Effects } from "../http/operation.ts";

const fail = (): never => {
  throw new Error("no effect was expected");
};

/** For a request without effects; a refusal is delayed as usual. */
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
