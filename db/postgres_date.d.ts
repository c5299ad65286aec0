/** The moment that PostgreSQL's text stands for, ±Infinity for its infinities, null for no moment. */
export default function parseDate(text: string): Date | number | null;
