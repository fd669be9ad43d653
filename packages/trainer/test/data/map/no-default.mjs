export const change = row => row
