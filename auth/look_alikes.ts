import unhomoglyph from "unhomoglyph";

/** A longer email is only like one that is the same: what stands here is of any length. */
const MAX_LENGTH = 1_000;

/**
 * Texts that are the same for emails that look alike: in whatever letter case, composed or not, with
 * marks that aren't seen, and with letters of other scripts for those that they look like (Unicode's
 * confusables, https://www.unicode.org/reports/tr39/). Two emails look alike when they share one.
 */
function looksOf(email: string): readonly string[] {
  if (email.length > MAX_LENGTH) return [email];
  const seen = email.normalize("NFKC")
    .replaceAll(/[\p{Default_Ignorable_Code_Point}\p{White_Space}\p{Cc}]/gu, "");
  // A capital I looks like a small l, and is a small i.
  const looks = [seen, seen.toLowerCase()].map((text) =>
    unhomoglyph(text.normalize("NFD")).toLowerCase().normalize("NFC")
  );
  return [...new Set(looks)];
}

/**
 * Finds what looks like an email without being it.
 * @returns for an email of these the others, in their order
 */
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

/** An email in ASCII, every other character by its number, so that look-alikes can be told apart. */
export function spelledOut(email: string): string {
  return [...email].map((character) =>
    /^[!-~]$/.test(character) ? character : `\\u{${(character.codePointAt(0) ?? 0).toString(16)}}`
  ).join("");
}
