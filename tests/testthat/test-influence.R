sleep <- lmm(Reaction ~ Days + (Days | Subject), sleepstudy)
quiet <- function(code) suppressWarnings(suppressMessages(code))

# Fits to the data without each level, by the user's own hands.
by_hand <- function(fit, data, group, level, ...) {
  quiet(update(fit, data = data[as.character(data[[group]]) != level, ], ...))
}

test_that("refits are those of update() without the rows", {
  one <- influence(sleep, "Subject")
  for (level in c("308", "335", "372")) {
    again <- by_hand(sleep, sleepstudy, "Subject", level)
    expect_equal(one[["fixed.effects[-Subject]"]][level, ], fixef(again), tolerance = 1e-7)
    expect_equal(one[["vcov[-Subject]"]][[level]], vcov(again), tolerance = 1e-6)
    expect_equal(one[["theta[-Subject]"]][level, ], again$theta, tolerance = 1e-5)
    expect_equal(one[["var.cov.comps[-Subject]"]][[level, "sigma^2"]], sigma(again)^2,
                 tolerance = 1e-6)
  }
  rows <- influence(sleep)
  again <- lmm(Reaction ~ Days + (Days | Subject), sleepstudy[-60, ])
  expect_equal(rows[["fixed.effects[-case]"]]["60", ], fixef(again), tolerance = 1e-7)
})

test_that("the result has lme4's form and numbers", {
  skip_if_not_installed("lme4")
  # Its optima are sharp enough for six digits of the fixed effects only.
  sharp <- lme4::lmerControl(optimizer = "bobyqa", optCtrl = list(rhoend = 1e-12))
  fit <- lmm(Reaction ~ Days + (1 | Subject), sleepstudy)
  theirs <- lme4::lmer(Reaction ~ Days + (1 | Subject), sleepstudy, control = sharp)
  mine <- influence(fit, "Subject")
  them <- influence(theirs, "Subject", data = sleepstudy)
  expect_identical(names(mine)[1:10], names(them)[1:10])
  for (at in c(1, 2, 3, 5)) expect_equal(mine[[at]], them[[at]], tolerance = 1e-5)
  expect_identical(dimnames(mine[[4]]), dimnames(them[[4]]))
  expect_equal(mine[[4]], them[[4]], tolerance = 1e-4)
  expect_equal(dfbeta(mine), dfbeta(them), tolerance = 1e-5)
  expect_equal(dfbetas(mine), dfbetas(them), tolerance = 1e-5)
  # lme4's Cook's distance is (J - p) / J times the published one, which is that of lm() as the
  # next test shows.
  theirs <- stats::setNames(cooks.distance(them), names(cooks.distance(mine)))
  expect_equal(cooks.distance(mine) * (18 - 2) / 18, theirs, tolerance = 1e-5)
})

test_that("without random effects distances are those of lm", {
  mine <- quiet(lmm(Reaction ~ Days, sleepstudy))
  theirs <- lm(Reaction ~ Days, sleepstudy)
  expect_equal(cooks.distance(influence(mine)), cooks.distance(theirs))
  expect_equal(cooks.distance(influence(mine, method = "one-step")), cooks.distance(theirs))
  # The sign is lme4's.
  expect_equal(dfbeta(mine), -dfbeta(theirs))
  table <- as.data.frame(influence(mine))
  expect_equal(table$covratio, unname(covratio(theirs)), tolerance = 1e-8)
})

# The estimates without rows at the theta of the fit, from an engine of its own.
at_theta <- function(fit, groups = NULL) {
  deletions <- deletions_of(fit, groups, NULL)
  linear <- as_linear(fit)
  lapply(deletions$rows, function(rows) refit_at_theta(fit, linear, rows))
}

expect_exact_step <- function(fit, groups = NULL) {
  step <- influence(fit, groups, method = "one-step")
  direct <- at_theta(fit, groups)
  beta <- do.call(rbind, lapply(direct, `[[`, "beta"))
  expect_equal(unname(step[[2]]), unname(beta), tolerance = 1e-9)
  expect_equal(unname(step[[6]]), lapply(direct, `[[`, "vcov"), tolerance = 1e-9)
  variances <- do.call(rbind, lapply(direct, `[[`, "variances"))
  expect_equal(unname(step[[4]]), unname(variances), tolerance = 1e-9)
}

test_that("one step is exact at theta for every design", {
  expect_exact_step(sleep)
  expect_exact_step(sleep, "Subject")
  weighted <- lmm(Reaction ~ Days + (Days || Subject), sleepstudy, weights = rep(1:3, 60),
                  REML = FALSE)
  expect_exact_step(weighted, "Subject")
  expect_exact_step(weighted)
  crossed <- lmm(diameter ~ 1 + (1 | plate) + (1 | sample), Penicillin)
  expect_exact_step(crossed, "plate")
  expect_exact_step(crossed, "sample")
  nested <- lmm(strength ~ 1 + (1 | batch / cask), Pastes)
  expect_exact_step(nested, "batch")
  expect_exact_step(nested, "cask:batch")
  singular <- quiet(lmm(Yield ~ 1 + (1 | Batch), Dyestuff2))
  expect_exact_step(singular, "Batch")
  herds <- glmm(cbind(incidence, size - incidence) ~ period + (1 | herd), cbpp, binomial(),
                nAGQ = 0)
  step <- influence(herds, "herd", method = "one-step")
  direct <- do.call(rbind, lapply(at_theta(herds, "herd"), `[[`, "beta"))
  expect_equal(unname(step[[2]]), direct, tolerance = 1e-6, ignore_attr = TRUE)
})

test_that("blocks of the inverse are the same by every way to them", {
  crossed <- lmm(diameter ~ 1 + (1 | plate) + (1 | sample), Penicillin)
  parts <- deletion_parts(crossed)
  jobs <- lapply(list(1:6, 7:12), function(rows) columns_of_rows(parts, Matrix::t(parts$ZL), rows))
  G <- solve(as.matrix(Matrix::crossprod(parts$ZL)) + diag(30))
  block <- inverse_blocks(parts, jobs)
  expect_equal(block(2), G[jobs[[2]]$touched, jobs[[2]]$touched], ignore_attr = TRUE)
  full <- inverse_blocks(parts, rep(jobs, 20))
  expect_equal(full(2), block(2), ignore_attr = TRUE)
})

test_that("generalised models: refits, and one step near them", {
  fit <- glmm(cbind(incidence, size - incidence) ~ period + (1 | herd), cbpp, binomial())
  full <- influence(fit, "herd")
  again <- by_hand(fit, cbpp, "herd", "11")
  expect_equal(full[["fixed.effects[-herd]"]]["11", ], fixef(again), tolerance = 1e-6)
  expect_equal(full[["vcov[-herd]"]][["11"]], vcov(again), tolerance = 1e-4)
  expect_equal(full[["theta[-herd]"]][["11", 1]], again$theta[[1]], tolerance = 1e-5)
  step <- influence(fit, "herd", method = "one-step")
  expect_gt(cor(cooks.distance(full), cooks.distance(step)), 0.99)
  # Families whose score is not that of a quasi-likelihood: the gradient at the mode is zero.
  d <- grouseticks
  for (family in list(nbinom1(), t_family())) {
    general <- quiet(glmm(TICKS ~ YEAR + (1 | BROOD), d, family, nAGQ = 0))
    linear <- as_linear(general)
    score <- crossprod(general$X, linear$weights * (linear$y - fitted_values(linear)))
    expect_lt(max(abs(score)), 1e-4)
  }
})

test_that("one step of a generalised model is Newton's on the likelihood without the rows", {
  set.seed(8)
  d <- data.frame(g = gl(30, 4), x = rnorm(120))
  eta <- 2.5 * rnorm(30)[d$g] + d$x
  d$y <- rbinom(120, 1, plogis(eta))
  d$count <- rnbinom(120, mu = exp(eta / 3), size = 2)
  # From the whole gradient and Hessian without the rows.
  expect_newton <- function(fit, groups = NULL) {
    at <- unname(engine_parameters(fit))
    step <- influence(fit, groups, method = "one-step")
    for (k in c(2, 9)) {
      rows <- deletions_of(fit, groups, NULL)$rows[[k]]
      design <- design_without(design_of(fit), rows)
      f <- glmm_engine_of(design, integral_of(fit), FALSE, fit$prior, FALSE)
      H <- hessian_by_gradients(f$gradient, at, 1e-4 * parameter_scale(fit))
      change <- -solve(H, f$gradient(at))
      own <- length(fit$theta) + seq_along(fit$coefficients)
      expect_equal(dfbeta(step)[k, ], change[own], tolerance = 1e-4, ignore_attr = TRUE)
      expect_equal(dfbeta(step, "theta")[k, ], change[seq_along(fit$theta)], tolerance = 1e-4,
                   ignore_attr = TRUE)
      expect_equal(step[[6]][[k]], 2 * solve(H)[own, own], tolerance = 1e-4, ignore_attr = TRUE)
    }
  }
  binary <- quiet(glmm(y ~ x + (1 | g), d, binomial()))
  expect_newton(binary, "g")
  expect_newton(binary)
  held <- quiet(glmm(y ~ x + (1 | g), d, binomial(), prior = normal_prior(1)))
  expect_newton(held, "g")
  inflated <- quiet(glmm(count ~ x + (1 | g), d, nbinom2(), ziformula = ~1))
  expect_newton(inflated, "g")
  # Small groups of binary responses: a step that holds theta is a third to a half of the change.
  full <- dfbeta(influence(binary, "g"))
  share <- function(change) sum(change * full) / sum(full^2)
  expect_equal(share(dfbeta(influence(binary, "g", method = "one-step"))), 1, tolerance = 0.1)
  theta_held <- one_steps(deletion_parts(binary), deletions_of(binary, "g", NULL)$rows)
  expect_lt(share(t(vapply(theta_held, `[[`, numeric(2), "beta"))), 0.7)
})

test_that("a group that takes most of what is known of a parameter is refitted", {
  # Group 1 has most of the zeros that tell zero inflation from small means.
  set.seed(12)
  d <- data.frame(g = gl(12, 10), x = rep(0:1, each = 60))
  d$y <- rpois(120, exp(1.5 * d$x - 1 + rnorm(12, sd = 0.4)[d$g])) * rbinom(120, 1, 0.7)
  fit <- quiet(glmm(y ~ x + (1 | g), d, nbinom2(), ziformula = ~x))
  parts <- likelihood_parts(fit)
  share <- vapply(parts$rows, function(rows) {
    smallest_share_left(parts$hessian, derivatives_of_rows(rows, fit, parts)$hessian)
  }, 0)
  far <- which(share < 0.5)
  expect_gt(length(far), 0)
  change <- dfbeta(quiet(influence(fit, "g", method = "one-step")))[far, ]
  expect_equal(change, dfbeta(quiet(influence(fit, "g")))[far, ])
})

test_that("influence of generalised models is lme4's", {
  skip_if_not_installed("lme4")
  fit <- glmm(cbind(incidence, size - incidence) ~ period + (1 | herd), cbpp, binomial())
  theirs <- lme4::glmer(cbind(incidence, size - incidence) ~ period + (1 | herd), cbpp, binomial(),
    control = lme4::glmerControl(optimizer = "bobyqa", optCtrl = list(rhoend = 1e-10)))
  # lme4 refits with less sharp settings of its own.
  them <- quiet(influence(theirs, "herd", data = cbpp))
  expect_equal(influence(fit, "herd")[[2]], them[[2]], tolerance = 2e-3)
})

test_that("a column that goes with a group is NA, and so is its distance", {
  d <- sleepstudy
  at <- as.integer(d$Subject)
  d$part <- factor(ifelse(at == 3, "c", ifelse(at > 9, "b", "a")))
  fit <- lmm(Reaction ~ Days + part + (1 | Subject), d)
  for (method in c("refit", "one-step")) {
    found <- influence(fit, "Subject", method = method)
    lost <- is.na(found[["fixed.effects[-Subject]"]])
    expect_identical(unname(which(lost, arr.ind = TRUE)), cbind(3L, 4L))
    expect_identical(names(which(is.na(cooks.distance(found)))), "310")
    expect_equal(found[["fixed.effects[-Subject]"]]["310", 1:3],
                 fixef(by_hand(fit, d, "Subject", "310"))[1:3], tolerance = 1e-3)
    expect_output(print(found), "1 without a distance")
  }
})

test_that("groups are named in many ways", {
  d <- transform(sleepstudy, third = rep(c("a", "b", NA), 60))
  by_data <- influence(sleep, "third", data = d)
  expect_identical(names(cooks.distance(by_data)), c("a", "b"))
  expect_equal(influence(sleep, d$third)[[2]], by_data[[2]])
  both <- influence(sleep, c("Subject", "third"), data = d, method = "one-step")
  expect_identical(both$groups, "Subject.third")
  expect_length(both$deleted, 36L)
  error <- expect_error(influence(sleep, "subject"), class = "partialpool_error_argument")
  expect_match(conditionMessage(error), "Did you mean `Subject`")
  expect_error(influence(sleep, 1:3), class = "partialpool_error_argument")
  expect_error(influence(sleep, rep(1, 180)), class = "partialpool_error_argument")
  expect_error(influence(sleep, "x", data = list()), class = "partialpool_error_argument")
  expect_error(influence(sleep, nonsense = 1), class = "partialpool_error_argument")
  # Fits without the data, and by a subset.
  local <- function() {
    own <- sleepstudy
    lmm(Reaction ~ Days + (1 | Subject), own, subset = Days > 1)
  }
  expect_length(cooks.distance(influence(local(), "Subject")), 18L)
  expect_equal(influence(local(), "third", data = d)$rows[["a"]], sum(d$third == "a" & d$Days > 1,
                                                                      na.rm = TRUE))
})

test_that("what cannot be fitted is NA with a warning that names it", {
  d <- data.frame(y = cos((1:40)^2), g = gl(2, 20))
  fit <- quiet(lmm(y ~ 1 + (1 | g), d))
  expect_warning(found <- influence(fit, "g"), class = "partialpool_warning_fit")
  expect_true(all(is.na(found[["fixed.effects[-g]"]])))
})

test_that("nothing but the numbers depends on the number of processes", {
  skip_on_cran()
  skip_if(!nzchar(system.file(package = "partialpool")))
  expect_equal(influence(sleep, "Subject", ncores = 2), influence(sleep, "Subject"))
})

test_that("tables, summaries and distances of groups agree", {
  found <- influence(sleep, "Subject")
  table <- as.data.frame(found)
  expect_named(table, c("deleted", "rows", "cooks.distance", "mdffits", "covratio", "covtrace",
                        "dfbetas.(Intercept)", "dfbetas.Days"))
  expect_equal(table$cooks.distance, unname(cooks.distance(sleep, "Subject")))
  change <- dfbeta(found)["335", ]
  V <- vcov(sleep)
  Vi <- found[["vcov[-Subject]"]][["335"]]
  at <- table$deleted == "335"
  expect_equal(table$cooks.distance[at], drop(change %*% solve(V, change)) / 2)
  expect_equal(table$mdffits[at], drop(change %*% solve(Vi, change)) / 2)
  expect_equal(table$covratio[at], det(Vi) / det(V))
  expect_equal(table$covtrace[at], abs(sum(diag(solve(V, Vi))) - 2))
  expect_equal(dfbetas(sleep, "Subject"), dfbetas(found))
  expect_equal(dfbeta(found, "theta")[, 1], found[["theta[-Subject]"]][, 1] - sleep$theta[[1]])
  expect_named(influence(sleep, do.coef = FALSE), "hat")
  expect_output(print(found), "Influence of 18 levels of Subject, by a refit without each")
  expect_output(print(summary(found)), "range over the deletions")
})

test_that("pictures are drawn in both ways", {
  found <- influence(sleep, "Subject", method = "one-step")
  withr::local_pdf(NULL)
  expect_identical(plot(found, c("cook", "dfbetas", "mdffits", "covratio", "covtrace", "var.cov")),
                   found)
  plot(found, "dfbetas", parm = "Days", n = 0, col = "red")
  expect_error(plot(found, "nonsense"), class = "partialpool_error_argument")
  expect_error(plot(found, "dfbetas", parm = "nonsense"), class = "partialpool_error_argument")
  panel <- influence_panels(found, "cook", NULL, 3)[[1]]
  expect_equal(panel$points$value, unname(cooks.distance(found)))
  expect_equal(panel$cut, 4 / 18)
  skip_if_not_installed("ggplot2")
  drawn <- ggplot2::autoplot(found, c("cook", "dfbetas"))
  expect_s3_class(drawn, "ggplot")
  expect_silent(ggplot2::ggplot_build(drawn))
})

test_that("car's pictures take our fits and influences", {
  skip_if_not_installed("car")
  withr::local_pdf(NULL)
  table <- car::influencePlot(sleep)
  expect_equal(table["60", "CookD"], cooks.distance(sleep)[["60"]])
  expect_silent(car::infIndexPlot(sleep))
  expect_silent(car::infIndexPlot(influence(sleep, "Subject")))
  expect_equal(unname(car::outlierTest(sleep)$rstudent["57"]), rstudent(sleep)[["57"]])
})
