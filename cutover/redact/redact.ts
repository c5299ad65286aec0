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
 * logged. Never throws.
 */
export interface Redactor {
  /** Everything that a finding holds. */
  finding(finding: Finding): Finding;
  /** What differs in two responses to a request of an operation. */
  differences(
    operation: LegacyOperation | undefined,
    differences: readonly Difference[],
  ): readonly Difference[];
  /** One exchange; `operation`: undefined where the request is for none that is compared. */
  exchange(
    operation: LegacyOperation | undefined,
    request: CapturedRequest,
    response: CapturedResponse,
  ): { readonly request: CapturedRequest; readonly response: CapturedResponse };
}

/**
 * Makes the redactor of everything that the cutover keeps. It lets through what the contract names: its
 * fields and their ids, lot codes, numbers, moments and enumerated values, the known words of messages,
 * known headers and segments of paths. A value always has the same digits.
 *
 * @param secret nobody without it can find out what a pseudonym stands for
 */
export function createRedactor(secret: string): Redactor {
  const newPseudonyms = createPseudonyms(secret);
  return {
    differences: (operation, differences) =>
      redactDifferences(operation, differences, newPseudonyms()),
    exchange(operation, request, response) {
      const pseudonym = newPseudonyms();
      return {
        request: redactRequest(request, operation, pseudonym),
        response: redactResponse(response, operation, pseudonym),
      };
    },
    finding(finding) {
      const { operation, exchange, differences } = finding;
      const pseudonym = newPseudonyms();
      return {
        ...finding,
        differences: redactDifferences(operation, differences, pseudonym),
        ...(exchange && {
          exchange: {
            mode: exchange.mode,
            request: redactRequest(exchange.request, operation, pseudonym),
            legacy: redactResponse(exchange.legacy, operation, pseudonym),
            service: redactResponse(exchange.service, operation, pseudonym),
          },
        }),
      };
    },
  };
}

function redactDifferences(
  operation: LegacyOperation | undefined,
  differences: readonly Difference[],
  pseudonym: Pseudonyms,
): readonly Difference[] {
  const fields = responseFields(operation);
  return differences.map((difference) => redactDifference(difference, fields, pseudonym));
}

function redactRequest(
  { method, target, headers, body }: CapturedRequest,
  operation: LegacyOperation | undefined,
  pseudonym: Pseudonyms,
): CapturedRequest {
  const fields = requestFields(operation);
  return {
    method: redactMethod(method, pseudonym),
    target: redactTarget(target, pseudonym),
    headers: redactHeaders(headers, pseudonym),
    body: redactBody({ headers, body, fields, isResponse: false }, pseudonym),
  };
}

function redactResponse(
  { headers, body, ...response }: CapturedResponse,
  operation: LegacyOperation | undefined,
  pseudonym: Pseudonyms,
): CapturedResponse {
  const fields = responseFields(operation);
  return {
    ...response,
    headers: redactHeaders(headers, pseudonym),
    body: redactBody({ headers, body, fields, isResponse: true }, pseudonym),
  };
}
