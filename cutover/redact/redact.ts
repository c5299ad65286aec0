import type { Difference, Finding } from "../evidence/evidence.ts";
import type { CapturedRequest, CapturedResponse } from "../exchange/exchange.ts";
import type { LegacyOperation } from "../exchange/operations.ts";
import { requestFields, responseFields } from "./contract_fields.ts";
import { createPseudonyms, type Pseudonyms } from "./pseudonyms.ts";
import { redactBody } from "./redact_body.ts";
import { redactDifference } from "./redact_difference.ts";
import { redactHeaders, redactMethod, redactTarget } from "./redact_head.ts";

/**
 * Replaces everything by pseudonyms that isn't known to be harmless, before anything is stored or
 * logged. Never throws. Without an operation, a request is for none that is compared.
 */
export type Redactor = ReturnType<typeof createRedactor>;

/**
 * Makes the redactor of everything that the cutover keeps. It lets through what the contract names: its
 * fields and their ids, lot codes, numbers, moments and enumerated values, the known words of messages,
 * known headers and segments of paths. A value always has the same digits.
 *
 * @param secret nobody without it can find out what a pseudonym stands for
 */
export function createRedactor(secret: string) {
  const newPseudonyms = createPseudonyms(secret);
  return {
    /** What differs in two responses to a request of an operation. */
    differences: (operation: LegacyOperation | undefined, differences: readonly Difference[]) =>
      partsOf(operation, newPseudonyms()).differences(differences),
    exchange(
      operation: LegacyOperation | undefined,
      request: CapturedRequest,
      response: CapturedResponse,
    ) {
      const redacted = partsOf(operation, newPseudonyms());
      return { request: redacted.request(request), response: redacted.response(response) };
    },
    /** A request that matches no operation: the beginning of its path. */
    unknown(method: string, target: string) {
      const pseudonym = newPseudonyms();
      const [path = ""] = redactTarget(target.slice(0, MAX_PATH), pseudonym).split("?");
      return { method: redactMethod(method, pseudonym), path };
    },
    finding(finding: Finding): Finding {
      const { operation, exchange, differences } = finding;
      const redacted = partsOf(operation, newPseudonyms());
      return {
        ...finding,
        differences: redacted.differences(differences),
        ...(exchange && {
          exchange: {
            mode: exchange.mode,
            request: redacted.request(exchange.request),
            legacy: redacted.response(exchange.legacy),
            service: redacted.response(exchange.service),
          },
        }),
      };
    },
  };
}

/** Of a path that no operation has, in characters. */
const MAX_PATH = 200;

function partsOf(operation: LegacyOperation | undefined, pseudonym: Pseudonyms) {
  const [requested, received] = [requestFields(operation), responseFields(operation)];
  return {
    request: ({ method, target, headers, body }: CapturedRequest): CapturedRequest => ({
      method: redactMethod(method, pseudonym),
      target: redactTarget(target, pseudonym),
      headers: redactHeaders(headers, pseudonym),
      body: redactBody({ headers, body, fields: requested, isResponse: false }, pseudonym),
    }),
    response: ({ headers, body, ...response }: CapturedResponse): CapturedResponse => ({
      ...response,
      headers: redactHeaders(headers, pseudonym),
      body: redactBody({ headers, body, fields: received, isResponse: true }, pseudonym),
    }),
    differences: (differences: readonly Difference[]): readonly Difference[] =>
      differences.map((difference) => redactDifference(difference, received, pseudonym)),
  };
}
