# What is measured: a table of cases. Each has a function that makes the data (outside the clock),
# the formula, and whether the fit is by REML. Random draws follow R's default generators, in
# exactly the order written here, so that the criterion at the optimum can be looked up.

bench_cases <- function() {
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

# Cases that take seconds with every program
quick_cases <- c("sleepstudy", "refit", "insteval", "finn")

# A data set of the package, without loading the package
shipped <- function(name) {
  place <- new.env()
  utils::data(list = name, package = "partialpool", envir = place)
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
