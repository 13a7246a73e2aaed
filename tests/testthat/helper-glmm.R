# Small data sets for generalised models: 240 rows, 10 groups.

count_data <- function(size = 3, seed = 4) {
  set.seed(seed)
  d <- data.frame(g = factor(rep(1:10, 24)), x = rnorm(240))
  d$mu <- exp(0.6 + 0.4 * d$x + rnorm(10, 0, 0.5)[d$g])
  d$y <- rnbinom(240, size = size, mu = d$mu)
  d
}

inflated_data <- function() {
  d <- count_data(seed = 5)
  d$y <- d$y * rbinom(240, 1, plogis(1 + 0.5 * d$x))
  d
}

tweedie_data <- function() {
  d <- count_data(seed = 6)
  d$y <- random_tweedie(d$mu, rep(1.2, 240), 1.5)
  d
}

real_data <- function() {
  d <- count_data(seed = 7)
  d$y <- 1 + d$x + rnorm(10)[d$g] + rt(240, 5)
  d
}

proportion_data <- function() {
  d <- count_data(seed = 8)
  p <- plogis(0.3 + 0.5 * d$x + rnorm(10, 0, 0.6)[d$g])
  d$share <- rbeta(240, 5 * p, 5 * (1 - p))
  d$n <- sample(4:12, 240, TRUE)
  d$s <- rbinom(240, d$n, d$share)
  d
}
