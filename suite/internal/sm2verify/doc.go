// Package sm2verify verifies SM2 signatures (GB/T 32918.2 section 7) fast: many at once by one equation, or one at a
// time with a table for its key. It only verifies: everything it is given is public, and its running time depends on
// it. Whoever signs uses a library that takes the same time whatever the key.
//
// # What is checked
//
// A signature is r ‖ s ‖ flag, 65 bytes. With t = r + s mod n and (x1, y1) = s·G + t·P, it is valid for digest e and
// key P if r, s and t are in [1, n−1], r = e + x1 mod n, and flag = (y1 mod 2) + 2·[x1 ≥ n] (section 7.1, steps B1 to
// B7; the flag is ours). Since n < p < 2n, flag, r and e leave one candidate R for that point: x1 = r − e mod n, or that
// plus n, and the square root with the right parity. So the signature is valid if and only if R exists and
//
//	s·G + t·P − R = O.
//
// # Many at once
//
// For random z of 128 bits the sum Σ z·(s·G + t·P − R) is O if all signatures are valid, and otherwise with probability
// at most 2^−128: the curve has prime order, so a term that is not O takes every value for exactly one z mod n (M.
// Bellare, J. Garay, T. Rabin, "Fast batch verification for modular exponentiation and digital signatures",
// EUROCRYPT 1998). z is drawn after the signatures are known, from the machine's own randomness, so nobody can choose
// signatures that fit. A sum that is not O decides nothing: the batch is halved, and in the end its members are
// verified one by one. What is accepted is therefore what verification one by one accepts.
//
// The sum is computed by buckets (N. Pippenger, "On the evaluation of powers and monomials", SIAM J. Comput. 1980) with
// signed digits, all additions in affine coordinates sharing inversions (P. Montgomery, "Speeding the Pollard and
// elliptic curve methods of factorization", Math. Comp. 1987). The terms of one key are merged, and each key remembers
// 2^128·P beside P, so that all coefficients have 128 bits.
//
// # One at a time
//
// s·G + t·P is computed from odd multiples of 2^(20j)·P, j = 0 … 12: one addition for each non-zero digit of the
// non-adjacent forms of s and t, and 20 doublings (C. Lim, P. Lee, "More flexible exponentiation with precomputation",
// CRYPTO 1994). The table of a key takes 13 KiB and is kept when the key has been seen a few times; before, a small one is
// made each time, and there are 260 doublings.
package sm2verify
