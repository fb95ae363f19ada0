export const word: string = 'compiled';
