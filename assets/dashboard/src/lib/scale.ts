/** The least round number that is not below the value and has a whole half: 2, 4, 10, 20, 40, 100 and so on. */
export function roundedUp(value: number): number {
  if (value <= 2) return 2;
  const step = 10 ** Math.floor(Math.log10(value));
  return ([1, 2, 4, 10].find((factor) => factor * step >= value && factor * step > 1) ?? 10) * step;
}
