# What is measured: a table of cases. Each has a function that makes the data (outside the clock),
# the formula, and whether the fit is by REML or, for a generalised model, its family. Random draws
# follow R's default generators, in exactly the order written here, so that the criterion at the
# optimum can be looked up.

bench_cases <- function() c(linear_cases(), generalised_cases())

linear_cases <- function() {
  list(
    sleepstudy = list(
      title = "sleepstudy, correlated slopes",
      data = function() shipped("sleepstudy"),
      formula = Reaction ~ Days + (Days | Subject), REML = TRUE
    ),
    refit = list(
      title = "sleepstudy by ML, refit with a new response",
      data = function() shipped("sleepstudy"),
      # By ML: under REML, refit() of lme4 1.1-31 counts one fixed effect, however many there are,
      # and ends at another criterion than lmer() with the same response
      formula = Reaction ~ Days + (Days | Subject), REML = FALSE,
      responses = new_responses
    ),
    insteval = list(
      title = "InstEval, three crossed factors",
      data = function() shipped("InstEval"),
      formula = y ~ 1 + service + (1 | s) + (1 | d) + (1 | dept), REML = TRUE
    ),
    finn = list(
      title = "FiNN demonstration, two nested factors",
      data = function() {
        data <- shipped("finn_demo")
        categorical <- setdiff(names(data), c("measured_variable", "continous_factor_A"))
        data[categorical] <- lapply(data[categorical], factor)
        data
      },
      formula = measured_variable ~ categorical_factor_A + categorical_factor_B +
        continous_factor_A + categorical_factor_A:continous_factor_A +
        (1 | random_effect_A) + (1 | random_effect_A:nested_random_effect_A),
      REML = TRUE
    ),
    nested = list(
      title = "slopes by 2,000 groups, 20,000 groups nested in them",
      data = nested_data,
      formula = y ~ x + w + (x | g) + (1 | h), REML = TRUE
    ),
    crossed = list(
      title = "6,000 x 4,000 crossed",
      data = crossed_data,
      formula = y ~ 1 + (1 | u) + (1 | m), REML = TRUE
    ),
    maximal = list(
      title = "maximal model, two 8 x 8 covariance matrices",
      data = maximal_data,
      formula = rt ~ spkr * prec * load + (spkr * prec * load | subj) +
        (spkr * prec * load | item),
      REML = FALSE
    )
  )
}

# All by maximum likelihood with the Laplace approximation.
generalised_cases <- function() {
  list(
    cbpp = list(
      title = "cbpp, 56 rows, binomial",
      data = function() shipped("cbpp"),
      formula = cbind(incidence, size - incidence) ~ period + (1 | herd),
      family = stats::binomial()
    ),
    grouseticks = list(
      title = "grouseticks, a level per row and two factors, Poisson",
      data = function() shipped("grouseticks"),
      formula = TICKS ~ YEAR + cHEIGHT + (1 | BROOD) + (1 | INDEX) + (1 | LOCATION),
      family = stats::poisson()
    ),
    contraception = list(
      title = "Contraception, binary",
      data = function() shipped("Contraception", "mlmRev"),
      formula = use ~ age + I(age^2) + urban + livch + (1 | district),
      family = stats::binomial()
    ),
    verbagg = list(
      title = "VerbAgg, two crossed factors, binary",
      data = function() shipped("VerbAgg", "lme4"),
      formula = r2 ~ Anger + Gender + btype + situ + (1 | id) + (1 | item),
      family = stats::binomial()
    ),
    verbagg_interaction = list(
      title = "VerbAgg, all interactions of two",
      data = function() shipped("VerbAgg", "lme4"),
      formula = r2 ~ (Anger + Gender + btype + situ)^2 + (1 | id) + (1 | item),
      family = stats::binomial()
    ),
    verbagg_slopes = list(
      title = "VerbAgg, slopes by person",
      data = function() shipped("VerbAgg", "lme4"),
      formula = r2 ~ btype + situ + mode + (0 + mode | id) + (1 | item),
      family = stats::binomial()
    ),
    binary_crossed = list(
      title = "2,000 x 200 crossed, binary",
      data = binary_data,
      formula = y ~ x + w + (1 | s) + (1 | i),
      family = stats::binomial()
    ),
    poisson_large = list(
      title = "5,000 groups, Poisson",
      data = poisson_data,
      formula = y ~ x + w + (1 | g),
      family = stats::poisson()
    ),
    negative_binomial = list(
      title = "1,000 groups, negative binomial",
      data = negative_binomial_data,
      formula = y ~ x + w + (1 | g),
      family = "nbinom2"
    ),
    gamma = list(
      title = "200 groups, Gamma with log link",
      data = gamma_data,
      formula = y ~ x + w + (1 | g),
      family = stats::Gamma("log")
    )
  )
}

# Cases that take seconds with every program
quick_cases <- c(
  "sleepstudy", "refit", "insteval", "finn", "cbpp", "grouseticks", "contraception", "verbagg"
)

# A data set of a package, without loading the package
shipped <- function(name, package = "partialpool") {
  place <- new.env()
  utils::data(list = name, package = package, envir = place)
  place[[name]]
}

# Fifty responses of the sleepstudy design, drawn near its fit
new_responses <- function(data) {
  set.seed(1)
  subjects <- nlevels(data$Subject)
  lapply(seq_len(50), function(k) {
    b <- cbind(stats::rnorm(subjects, 0, 25), stats::rnorm(subjects, 0, 6))[data$Subject, ]
    251 + b[, 1] + (10.5 + b[, 2]) * data$Days + stats::rnorm(nrow(data), 0, 25.6)
  })
}

nested_data <- function(n = 1e6) {
  set.seed(3)
  g <- sample(2000, n, replace = TRUE)
  x <- stats::rnorm(n)
  w <- stats::rnorm(n)
  h <- 10 * (g - 1) + sample(10, n, replace = TRUE)
  b <- matrix(stats::rnorm(4000), 2000) %*% chol(matrix(c(0.5, 0.1, 0.1, 0.2), 2))
  y <- 2 + 0.3 * x - 0.2 * w + b[g, 1] + b[g, 2] * x + stats::rnorm(20000, 0, 0.6)[h] +
    stats::rnorm(n)
  data.frame(y, x, w, g = factor(g), h = factor(h))
}

crossed_data <- function(n = 1e6) {
  set.seed(5)
  weight_u <- stats::rgamma(6000, 0.8)
  weight_m <- stats::rgamma(4000, 0.6)
  u <- sample(6000, n, replace = TRUE, prob = weight_u)
  m <- sample(4000, n, replace = TRUE, prob = weight_m)
  y <- 3.5 + stats::rnorm(6000, 0, 0.45)[u] + stats::rnorm(4000, 0, 0.5)[m] +
    stats::rnorm(n, 0, 0.85)
  data.frame(y, u = factor(u), m = factor(m))
}

# A 2 x 2 x 2 experiment on 56 subjects and 32 items. The subjects and items vary in the intercept
# and the three main effects; the maximal model looks for the interactions as well.
maximal_data <- function() {
  set.seed(7)
  data <- expand.grid(subj = 1:56, item = 1:32)
  condition <- (data$subj + data$item) %% 8
  data$spkr <- ifelse(condition %% 2 == 0, 1, -1)
  data$prec <- ifelse(condition %/% 2 %% 2 == 0, 1, -1)
  data$load <- ifelse(condition < 4, 1, -1)
  z <- cbind(1, data$spkr, data$prec, data$load)
  lower <- function(...) {
    factor <- matrix(0, 4, 4)
    factor[lower.tri(factor, diag = TRUE)] <- c(...)
    factor
  }
  factor_s <- lower(300, 80, -60, 50, 60, 20, 10, 70, 10, 40)
  factor_i <- lower(360, 20, -150, 20, 40, 10, 10, 180, 10, 30)
  b_s <- matrix(stats::rnorm(56 * 4), 56) %*% t(factor_s)
  b_i <- matrix(stats::rnorm(32 * 4), 32) %*% t(factor_i)
  mean <- 2200 + 70 * data$spkr - 330 * data$prec + 80 * data$load
  data$rt <- mean + rowSums(z * b_s[data$subj, ]) + rowSums(z * b_i[data$item, ]) +
    stats::rnorm(nrow(data), 0, 680)
  data$subj <- factor(data$subj)
  data$item <- factor(data$item)
  data
}

binary_data <- function(n = 1e5) {
  set.seed(11)
  s <- sample(2000, n, replace = TRUE)
  i <- sample(200, n, replace = TRUE)
  x <- stats::rnorm(n)
  w <- stats::rbinom(n, 1, 0.5)
  eta <- -0.5 + 0.4 * x - 0.3 * w + stats::rnorm(2000, 0, 0.9)[s] + stats::rnorm(200, 0, 0.6)[i]
  data.frame(y = stats::rbinom(n, 1, stats::plogis(eta)), x, w, s = factor(s), i = factor(i))
}

poisson_data <- function(n = 1e6) {
  data <- one_factor_data(n, 5000, 12)
  data$y <- stats::rpois(n, exp(data$eta))
  data
}

negative_binomial_data <- function(n = 1e5) {
  data <- one_factor_data(n, 1000, 13)
  data$y <- stats::rnbinom(n, size = 1.5, mu = exp(data$eta))
  data
}

gamma_data <- function(n = 1e4) {
  data <- one_factor_data(n, 200, 14)
  data$y <- stats::rgamma(n, shape = 2, scale = exp(data$eta) / 2)
  data
}

one_factor_data <- function(n, levels, seed) {
  set.seed(seed)
  g <- sample(levels, n, replace = TRUE)
  x <- stats::rnorm(n)
  w <- stats::rbinom(n, 1, 0.5)
  eta <- 0.5 + 0.3 * x - 0.2 * w + stats::rnorm(levels, 0, 0.5)[g]
  data.frame(x, w, g = factor(g), eta)
}
