import type { components, operations } from "../../contract/types.gen.ts";
import { LEGACY_OPERATIONS, type LegacyOperation } from "../exchange/operations.ts";
import type { ClosedForm } from "./closed_form.ts";
import type { PseudonymKind } from "./pseudonyms.ts";

/** What of a field may be shown. A list is redacted item by item where its items have fields. */
export type Field =
  /** Values of this form, or these values; any other is replaced. */
  | ClosedForm
  | readonly string[]
  /** Words of the contract's messages; `place`: names of its fields. */
  | "message"
  | "place"
  /** Nothing: its texts are replaced by pseudonyms of this kind. */
  | PseudonymKind
  | Fields;

/** The fields of an object, by name; the names and values of all others are replaced. */
export interface Fields {
  readonly [name: string]: Field;
}

type Schemas = components["schemas"];

/** Every field that a schema names, and what of it may be shown. */
type FieldsOf<Schema> = {
  readonly [Name in keyof Schema as string extends Name ? never : Name]-?: FieldOf<
    NonNullable<Schema[Name]>
  >;
};

type FieldOf<Value> = [Value] extends [readonly (infer Item)[]] ? FieldsOf<Item>
  : [Value] extends [object] ? FieldsOf<Value>
  : [Value] extends [string] ? string extends Value ? Exclude<Field, Fields> : readonly Value[]
  : Exclude<Field, Fields>;

type Json<Message> = Message extends { content: { "application/json": infer Body } } ? Body
  : Record<never, never>;

type Of<Operation extends LegacyOperation> = {
  readonly request: FieldsOf<Json<operations[Operation]["requestBody"]>>;
  readonly response: FieldsOf<
    Json<operations[Operation]["responses"][keyof operations[Operation]["responses"] & (200 | 201)]>
  >;
};

const LOT: FieldsOf<Schemas["Lot"]> & FieldsOf<Schemas["LotInput"]> = {
  id: "uuid",
  lot_code: "lot code",
  lot_type: ["RAW", "DEB", "BULK", "MIX", "SKW", "FRZ", "FG"],
  production_run_id: "uuid",
  phase_id: "uuid",
  operator_id: "uuid",
  weight_kg: "decimal",
  temperature_c: "decimal",
  metadata: "text",
  created_at: "moment",
};

const QC_DECISION: FieldsOf<Schemas["QcDecision"]> & FieldsOf<Schemas["QcDecisionInput"]> = {
  id: "uuid",
  lot_id: "uuid",
  qc_gate_id: "uuid",
  operator_id: "uuid",
  decision: ["PASS", "HOLD", "FAIL"],
  notes: "note",
  temperature_c: "decimal",
  digital_signature: "signature",
  decided_at: "moment",
};

const ERROR: FieldsOf<Schemas["ErrorResponse"]> = {
  error: "message",
  details: { path: "place", message: "message" },
};

/** The fields of the operations that are compared; the compiler demands each that the contract has. */
const CONTRACT: { readonly [Operation in LegacyOperation]: Of<Operation> } = {
  getHealth: { request: {}, response: { status: ["ok"], timestamp: "moment" } },
  login: {
    request: { email: "email", password: "password" },
    response: {
      user: {
        id: "uuid",
        email: "email",
        full_name: "name",
        role: ["ADMIN", "MANAGER", "AUDITOR", "OPERATOR", "VIEWER"],
        created_at: "moment",
        last_login: "moment",
      },
      token: "token",
    },
  },
  getTraceability: { request: {}, response: { central: LOT, parents: LOT, children: LOT } },
  createLot: { request: LOT, response: LOT },
  createQcDecision: { request: QC_DECISION, response: QC_DECISION },
};

/** The fields of a request's body; of an operation that isn't compared none is known. */
export function requestFields(operation: LegacyOperation | undefined): Fields {
  return operation === undefined ? {} : CONTRACT[operation].request;
}

/** The fields of a response's body, a success's and an error's. */
export function responseFields(operation: LegacyOperation | undefined): Fields {
  return operation === undefined ? ERROR : { ...ERROR, ...CONTRACT[operation].response };
}

export function fieldNamed(field: Field | undefined, name: string): Field | undefined {
  return isFields(field) && Object.hasOwn(field, name) ? field[name] : undefined;
}

/** Whether a field is an object, or a list of objects, whose fields the contract names. */
export function isFields(field: Field | undefined): field is Fields {
  return typeof field === "object" && !Array.isArray(field);
}

export const FIELD_NAMES: ReadonlySet<string> = new Set(
  LEGACY_OPERATIONS.flatMap((operation) => [
    ...namesIn(requestFields(operation)),
    ...namesIn(responseFields(operation)),
  ]),
);

function namesIn(fields: Fields): string[] {
  return Object.entries(fields).flatMap(([name, field]) =>
    isFields(field) ? [name, ...namesIn(field)] : [name]
  );
}
