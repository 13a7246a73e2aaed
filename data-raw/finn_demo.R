# The demonstration data of FiNN's generalised linear mixed model page, drawn again in R.
#
# The page draws its 100,000 rows with NumPy's legacy generator seeded with 0. That generator is
# the Mersenne Twister which R has too; only the seeding and the ways from 32-bit integers to
# doubles, normal deviates, coin flips and permutations differ. They are written out here, so that
# the file can be rebuilt from nothing else than R.
#
# Run from the root of the repository: Rscript data-raw/finn_demo.R

# State after seeding with one integer: Knuth's linear congruential rule in 32 bits.
numpy_seed <- function(seed) {
  modulus <- 2^32
  multiply <- function(a, b) {
    # a * b mod 2^32 in doubles: split a, so that no product passes 2^53
    high <- a %/% 2^16
    low <- a %% 2^16
    ((high * b) %% 2^16 * 2^16 + low * b) %% modulus
  }
  xor32 <- function(a, b) {
    bitwXor(a %/% 2^16, b %/% 2^16) * 2^16 + bitwXor(a %% 2^16, b %% 2^16)
  }
  state <- numeric(624)
  state[1] <- seed
  for (i in 2:624) {
    previous <- state[i - 1]
    state[i] <- (multiply(xor32(previous, previous %/% 2^30), 1812433253) + i - 1) %% modulus
  }
  signed <- ifelse(state >= 2^31, state - modulus, state)
  signed[signed == -2^31] <- NA # R stores that bit pattern as NA_integer_
  RNGkind("Mersenne-Twister", "Inversion", "Rejection")
  assign(".Random.seed", c(10403L, 624L, as.integer(signed)), envir = globalenv())
}

draw_integers <- function(n) round(stats::runif(n) * 2^32)

# Doubles with 53 random bits from two integers each.
draw_doubles <- function(n) {
  integers <- matrix(draw_integers(2 * n), nrow = 2)
  (integers[1, ] %/% 2^5 * 2^26 + integers[2, ] %/% 2^6) / 2^53
}

# Marsaglia's polar method; of each accepted pair the second deviate is given out first.
draw_normals <- function(n, mean, sd) {
  deviates <- matrix(0, 2, n / 2)
  for (i in seq_len(n / 2)) {
    repeat {
      pair <- 2 * draw_doubles(2) - 1
      radius <- sum(pair^2)
      if (radius < 1 && radius > 0) break
    }
    deviates[, i] <- rev(pair) * sqrt(-2 * log(radius) / radius)
  }
  mean + sd * as.vector(deviates)
}

draw_coins <- function(n, probability) {
  u <- draw_doubles(n)
  if (probability <= 0.5) as.numeric(u > 1 - probability) else as.numeric(u <= probability)
}

# Fisher-Yates from the end; an index is drawn by masking bits until it falls in the range.
shuffle <- function(x) {
  for (i in rev(seq_len(length(x) - 1))) {
    mask <- 2^ceiling(log2(i + 1))
    repeat {
      j <- draw_integers(1) %% mask
      if (j <= i) break
    }
    swap <- x[i + 1]
    x[i + 1] <- x[j + 1]
    x[j + 1] <- swap
  }
  x
}

n <- 100000
numpy_seed(0)
finn_demo <- data.frame(
  measured_variable = c(draw_normals(n / 2, 0, 3), draw_normals(n / 2, 1, 2)),
  categorical_factor_A = c(draw_coins(n / 2, 0.1), draw_coins(n / 2, 0.9)),
  categorical_factor_B = c(draw_coins(n / 2, 0.5), draw_coins(n / 2, 0.5)) * 2 - 2,
  continous_factor_A = c(draw_normals(n / 2, 0, 1), draw_normals(n / 2, 0.25, 1)),
  random_effect_A = shuffle(rep(0:19, each = n / 20)),
  nested_random_effect_A = shuffle(rep(0:1, each = n / 2))
)

# Eight decimals: enough for every published and reference figure, half the size of 17 digits.
for (name in c("measured_variable", "continous_factor_A")) {
  finn_demo[[name]] <- round(finn_demo[[name]], 8)
}
file <- gzfile("data/finn_demo.csv.gz", "w", compression = 9)
# data() reads a csv with semicolons between its columns
utils::write.table(finn_demo, file, sep = ";", row.names = FALSE, quote = FALSE)
close(file)
