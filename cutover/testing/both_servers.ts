import { compare, type Comparison } from "../compare/compare.ts";
import type { Rule } from "../compare/approvals.ts";
import type { CapturedRequest, CapturedResponse } from "../exchange/exchange.ts";
import type { LegacyOperation } from "../exchange/operations.ts";
import { createSender } from "../upstream/send.ts";
import { givenResponse } from "./shadow_rig.ts";

const SEND_MS = 60_000;
/** How much the clocks of both servers may differ. */
const CLOCKS_APART_MS = 300_000;

export interface Compared {
  readonly found: Comparison;
  readonly legacy: CapturedResponse;
  readonly service: CapturedResponse;
}

/** Sends requests to the stand-in and to Lotline at once, and compares the responses. */
export function compareServers(
  { legacyUrl, serviceUrl, rules }: {
    readonly legacyUrl: string;
    readonly serviceUrl: string;
    readonly rules: readonly Rule[];
  },
) {
  const [old, own] = [createSender(legacyUrl, 1), createSender(serviceUrl, 1)];
  return {
    async send(operation: LegacyOperation, request: CapturedRequest): Promise<Compared> {
      const from = Date.now();
      const [legacy, service] = await Promise.all([
        old.send(request, SEND_MS).then(givenResponse),
        own.send(request, SEND_MS).then(givenResponse),
      ]);
      const times = { from, to: Date.now(), clocksApartMs: CLOCKS_APART_MS };
      return {
        legacy,
        service,
        found: compare({ operation, request, legacy, service, times }, rules),
      };
    },
    [Symbol.dispose]: () => {
      old[Symbol.dispose]();
      own[Symbol.dispose]();
    },
  };
}
