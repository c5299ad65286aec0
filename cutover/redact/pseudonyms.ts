import { createHmac } from "node:crypto";
import { PSEUDONYM_FORM, type SECRET_KINDS } from "./pseudonym_form.ts";

const WHOLE_PSEUDONYM = new RegExp(`^${PSEUDONYM_FORM}$`);

/** What a value that must not be shown is. */
export type SecretKind = typeof SECRET_KINDS[number];

/** A name for a value that tells nothing about it; the same value always gets the same one. */
export type Pseudonyms = (kind: SecretKind, value: string) => string;

/**
 * Makes pseudonyms such as `email-3f9a0c5b71de`. Without the secret nobody can find out what one
 * stands for by trying values.
 */
export function createPseudonyms(secret: string): Pseudonyms {
  const key = createHmac("sha256", secret).update("lotline-redaction").digest();
  return (kind, value) => {
    // What was cut away before has left a mark of it.
    if (value === "" || value === "…" || isPseudonym(value)) return value;
    const digest = createHmac("sha256", key).update(`${kind}\n${value}`).digest("hex");
    return `${kind}-${digest.slice(0, 12)}`;
  };
}

/** Whether a text is a pseudonym and nothing else. */
export function isPseudonym(text: string): boolean {
  return WHOLE_PSEUDONYM.test(text);
}

const KINDS: readonly (readonly [names: RegExp, kind: SecretKind])[] = [
  [/email|^mail$|mailaddress$/, "email"],
  [/passw(?:or)?d|secret|^(?:pwd|passphrase|pin)$/, "password"],
  [/token|authorization$|^(?:jwt|bearer|x?apikey|sessionid|credentials?)$/, "token"],
  [/^(?:(?:full|first|last|middle|given|family|sur|user|nick|display|operator)?names?)$/, "name"],
  [/signature|^signedby$/, "signature"],
  [/^(?:cookies?|setcookie)$/, "cookie"],
  [/clientip$|^(?:x?forwarded(?:for)?|xrealip|ip|ipaddress|phone(?:number)?)$/, "address"],
];

/** What a field, a header or a parameter of this name holds, if nobody may see it. */
export function kindOfName(name: string): SecretKind | undefined {
  // A secret may have been the name itself.
  if (isPseudonym(name)) return undefined;
  const plain = name.toLowerCase().replaceAll(/[^\p{L}\p{N}]/gu, "");
  return KINDS.find(([names]) => names.test(plain))?.[1];
}
