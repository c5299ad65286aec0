import unhomoglyph from "unhomoglyph";

/** A longer email is compared literally: stored emails have no length limit. */
const MAX_LENGTH = 1_000;

/**
 * Forms that look-alike emails share: without case, composition and invisible characters, and with
 * letters of other scripts mapped to those that they resemble (Unicode's confusables,
 * https://www.unicode.org/reports/tr39/). Two emails look alike when they share a form.
 */
function looksOf(email: string): readonly string[] {
  if (email.length > MAX_LENGTH) return [email];
  const seen = email.normalize("NFKC")
    .replaceAll(/[\p{Default_Ignorable_Code_Point}\p{White_Space}\p{Cc}]/gu, "");
  // A capital I resembles a small l, and is a small i.
  const looks = [seen, seen.toLowerCase()].map((text) =>
    unhomoglyph(text.normalize("NFD")).toLowerCase().normalize("NFC")
  );
  return [...new Set(looks)];
}

/** @returns the look-alikes of one of these emails, in their order */
export function findLookAlikes(emails: readonly string[]): (email: string) => readonly string[] {
  const distinct = [...new Set(emails)];
  const byLook = new Map<string, string[]>();
  for (const email of distinct) {
    for (const look of looksOf(email)) {
      const alike = byLook.get(look);
      if (alike === undefined) byLook.set(look, [email]);
      else alike.push(email);
    }
  }
  return (email) => {
    const alike = new Set(looksOf(email).flatMap((look) => byLook.get(look) ?? []));
    alike.delete(email);
    return [...alike];
  };
}

/** An email in ASCII with escapes, so that look-alikes can be distinguished. */
export function spelledOut(email: string): string {
  return [...email].map((character) =>
    /^[!-~]$/.test(character) ? character : `\\u{${(character.codePointAt(0) ?? 0).toString(16)}}`
  ).join("");
}
