import { z } from "zod";
import type { Mode } from "../exchange/route.ts";

/** How much of a route's traffic Lotline had in some period. */
export const ShareForm = z.object({
  requests: z.number(),
  movedRequests: z.number(),
  /** Buckets of clients: up to some thousand about as many as clients. */
  clients: z.number(),
  /** Those that got at least one response from Lotline. */
  movedClients: z.number(),
});

export type MovedShare = Readonly<z.output<typeof ShareForm>>;

/** How many of the known clients a canary of n % would move, for n from 0 to 100. */
export type ClientsBelow = readonly number[];

export const NO_SHARE: MovedShare = { requests: 0, movedRequests: 0, clients: 0, movedClients: 0 };

/** Whether a route's clients are counted: in a canary, and in shadow as its preparation. */
export function isCounted(mode: Mode): boolean {
  return mode.name === "shadow" || mode.name === "canary";
}

/** `Lotline answered 12 of 500 requests (2.4 %), for 1 of 40 clients (2.5 %)`. */
export function describeShare(share: MovedShare): string {
  const { requests, movedRequests, clients, movedClients } = share;
  return `Lotline answered ${partOf(movedRequests, requests, "request")}, ` +
    `for ${partOf(movedClients, clients, "client")}`;
}

/**
 * Why the moved share isn't that of the canary's step: no client, all clients, or a share of requests
 * or clients whose odds differ from the step's by more than `factor`. Undefined: the shares agree.
 */
export function shareGap(mode: Mode, share: MovedShare, factor: number): string | undefined {
  if (mode.name !== "canary") return undefined;
  const { requests, movedRequests, clients, movedClients } = share;
  const step = `canary ${mode.percent} %`;
  if (requests === 0) return `no client was seen, so that ${step} shows nothing`;
  const of = `${counted(requests, "request")} of ${counted(clients, "client")}`;
  if (movedRequests === 0) {
    return `nobody was moved: Lotline answered none of ${of}, so that ${step} shows nothing`;
  }
  if (movedRequests === requests) {
    return `everybody was moved: Lotline answered all of ${of}, so that ${step} is no step`;
  }
  const isFar = isFarFrom(mode.percent, movedClients, clients, factor) ||
    isFarFrom(mode.percent, movedRequests, requests, factor);
  return isFar ? `${describeShare(share)}: that is far from ${step}` : undefined;
}

/** The same for a planned canary; undefined also without known clients. */
export function stepGap(
  mode: Mode,
  below: ClientsBelow | undefined,
  factor: number,
): string | undefined {
  const clients = below?.[100] ?? 0;
  if (mode.name !== "canary" || clients === 0) return undefined;
  const moved = below?.[mode.percent] ?? 0;
  const step = `canary ${mode.percent} %`;
  const seen = `${counted(clients, "client")} seen`;
  if (moved === 0) return `${step} would move none of ${seen}`;
  if (moved === clients) return `${step} would move all of ${seen}`;
  return isFarFrom(mode.percent, moved, clients, factor)
    ? `${step} would move ${moved} of ${seen} (${percent(moved, clients)} %)`
    : undefined;
}

/** Advice where a canary isn't possible. */
export const NO_CANARY = "Tell clients apart by CANARY_BY, or leave the canary out with " +
  "--steps shadow,100";

/** Compares odds, so that 99 % is as far from 50 % as 1 % is. */
function isFarFrom(step: number, part: number, whole: number, factor: number): boolean {
  const ratio = (part / (whole - part)) / (step / (100 - step));
  return ratio > factor || ratio < 1 / factor;
}

function partOf(part: number, whole: number, noun: string): string {
  if (whole === 0) return `none of 0 ${noun}s`;
  return `${part} of ${counted(whole, noun)} (${percent(part, whole)} %)`;
}

const percent = (part: number, whole: number) => Number((part / whole * 100).toPrecision(3));
const counted = (count: number, noun: string) => `${count} ${noun}${count === 1 ? "" : "s"}`;
