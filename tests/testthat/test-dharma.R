cbpp_formula <- cbind(incidence, size - incidence) ~ period + (1 | herd)

# Only the class of the fit is new to DHARMa.
known_to_dharma <- function(code) {
  withCallingHandlers(code, warning = function(w) {
    if (grepl("not in class of supported models", conditionMessage(w))) {
      invokeRestart("muffleWarning")
    }
  })
}

# lme4's estimates in our fit: then the draws are the same to the last digits.
with_lme4_estimates <- function(fit, reference) {
  fit$coefficients[] <- lme4::fixef(reference)
  for (t in seq_along(fit$random)) {
    group <- fit$random[[t]]$group
    b <- lme4::ranef(reference, condVar = FALSE)[[group]]
    fit$b[[t]][] <- as.matrix(b)[rownames(fit$b[[t]]), ]
    scale <- if (lme4::isLMM(reference)) sigma(reference) else 1
    fit$Lambda[[t]][] <- t(chol(lme4::VarCorr(reference)[[group]])) / scale
  }
  if (lme4::isLMM(reference)) fit$sigma <- sigma(reference)
  fit
}

herd_twins <- function() {
  reference <- lme4::glmer(cbpp_formula, cbpp, binomial())
  fit <- with_lme4_estimates(glmm(cbpp_formula, cbpp, binomial()), reference)
  list(ours = fit, lme4 = reference)
}

test_that("scaled residuals are those of lme4's fit", {
  withr::local_seed(1)
  skip_if_not_installed("DHARMa", "0.5.0")
  skip_if_not_installed("lme4")
  herds <- herd_twins()
  linear <- lme4::lmer(Reaction ~ Days + (Days | Subject), sleepstudy)
  ours <- with_lme4_estimates(lmm(Reaction ~ Days + (Days | Subject), sleepstudy), linear)
  for (how in c("conditional", "unconditional")) {
    residuals <- function(fit) {
      known_to_dharma(DHARMa::simulateResiduals(fit, simulateREs = how))$scaledResiduals
    }
    expect_equal(residuals(herds$ours), residuals(herds$lme4), tolerance = 1e-10)
    expect_equal(residuals(ours), residuals(linear), tolerance = 1e-10)
  }
})

test_that("tests of DHARMa give lme4's results", {
  withr::local_seed(1)
  skip_if_not_installed("DHARMa", "0.5.0")
  skip_if_not_installed("lme4")
  herds <- herd_twins()
  pair <- lapply(unname(herds), function(fit) {
    known_to_dharma(DHARMa::simulateResiduals(fit))
  })
  both <- function(test, ...) lapply(pair, function(r) unclass(test(r, plot = FALSE, ...))$p.value)
  expect_identical(length(unique(both(DHARMa::testDispersion))), 1L)
  expect_identical(length(unique(both(DHARMa::testZeroInflation))), 1L)
  expect_identical(length(unique(both(DHARMa::testUniformity))), 1L)
  by_herd <- lapply(pair, function(r) {
    DHARMa::recalculateResiduals(r, group = cbpp$herd)$scaledResiduals
  })
  expect_identical(by_herd[[1]], by_herd[[2]])
  by_formula <- DHARMa::recalculateResiduals(pair[[1]], group = ~herd)$scaledResiduals
  expect_identical(by_formula, by_herd[[1]])
})

test_that("refits work, each without notes", {
  skip_if_not_installed("DHARMa")
  skip_if_not_installed("lme4")
  fit <- glmm(cbpp_formula, cbpp, binomial())
  expect_no_message(
    refitted <- known_to_dharma(DHARMa::simulateResiduals(fit, n = 8, refit = TRUE))
  )
  expect_identical(dim(refitted$refittedFixedEffects), c(4L, 8L))
  expect_false(anyNA(refitted$refittedPearsonResiduals))
  reference <- lme4::glmer(cbpp_formula, cbpp, binomial())
  theirs <- suppressMessages(DHARMa::simulateResiduals(reference, n = 8, refit = TRUE))
  # Estimates of lme4 are exact to about three digits.
  skip_if_not_installed("DHARMa", "0.5.0")
  expect_equal(refitted$refittedFixedEffects, theirs$refittedFixedEffects, tolerance = 0.02)
})

test_that("as_dharma() gives what simulateResiduals() gives", {
  skip_if_not_installed("DHARMa", "0.5.0")
  # In a session that has drawn nothing yet DHARMa draws one number more.
  withr::local_seed(1)
  fit <- lmm(Reaction ~ Days + (Days | Subject), sleepstudy)
  theirs <- known_to_dharma(DHARMa::simulateResiduals(fit, n = 50, simulateREs = "unconditional"))
  ours <- as_dharma(fit, nsim = 50)
  expect_identical(ours$scaledResiduals, theirs$scaledResiduals)
  expect_identical(ours[c("observedResponse", "fittedPredictedResponse", "integerResponse")],
                   theirs[c("observedResponse", "fittedPredictedResponse", "integerResponse")])
  given <- known_to_dharma(DHARMa::simulateResiduals(fit, n = 50))
  expect_identical(as_dharma(fit, 50, re.form = NULL)$scaledResiduals, given$scaledResiduals)
  # Old versions do not say which: random effects are drawn anew, as they did.
  drawn <- withr::with_seed(123, partialpool:::getSimulations.pp_fit(fit, 50))
  expect_identical(drawn, ours$simulatedResponse)
})

test_that("responses of all kinds become numbers", {
  skip_if_not_installed("DHARMa")
  d <- transform(cbpp, share = incidence / size, l = incidence > 1)
  d$f <- factor(ifelse(d$l, "b", "a"))
  d$c <- as.character(d$f)
  both <- as_dharma(glmm(cbpp_formula, d, binomial()), 20)
  share <- as_dharma(glmm(share ~ period + (1 | herd), d, binomial(), weights = size), 20)
  expect_identical(both$observedResponse, as.numeric(d$incidence))
  expect_equal(share[c("observedResponse", "simulatedResponse")],
               both[c("observedResponse", "simulatedResponse")])
  values <- lapply(c("l", "f", "c"), function(y) {
    fit <- quietly(glmm(stats::reformulate(c("period", "(1 | herd)"), y), d, binomial()))
    as_dharma(fit, 20)[c("observedResponse", "simulatedResponse", "scaledResiduals")]
  })
  expect_identical(values[[1]], values[[2]])
  expect_identical(values[[1]], values[[3]])
  expect_identical(values[[1]]$observedResponse, as.numeric(d$l))
})

test_that("rows left out, zero inflation, kernels", {
  skip_if_not_installed("DHARMa")
  d <- cbpp
  d$incidence[3] <- NA
  fit <- glmm(cbpp_formula, d, binomial(), na.action = na.exclude)
  r <- as_dharma(fit, 20)
  expect_length(r$scaledResiduals, 55L)
  expect_length(DHARMa::recalculateResiduals(r, group = ~herd)$scaledResiduals, nlevels(d$herd))
  zeros <- quietly(glmm(incidence ~ period + (1 | herd), cbpp, poisson(), ziformula = ~1))
  expect_true(as_dharma(zeros, 20)$integerResponse)
  K <- exp(-as.matrix(stats::dist(1:20)) / 5)
  k <- kernel_glmm(rep(c(0, 3, 1, 5), each = 5), NULL, K, "poisson")
  expect_length(as_dharma(k, 20)$scaledResiduals, 20L)
  expect_error(as_dharma(k, re.form = NULL), class = "partialpool_error_argument")
  expect_message(known_to_dharma(DHARMa::simulateResiduals(k, n = 20)),
                 class = "partialpool_message_kernel")
})

test_that("what cannot be is refused", {
  skip_if_not_installed("DHARMa")
  fit <- lmm(Reaction ~ Days + (1 | Subject), sleepstudy)
  expect_error(as_dharma(fit, 1), class = "partialpool_error_argument")
  expect_error(as_dharma(3), class = "partialpool_error_argument")
  weighted <- glmm(incidence ~ period + (1 | herd), cbpp, poisson(), weights = rep(1:2, 28))
  expect_warning(as_dharma(weighted, 20), class = "partialpool_warning_weights")
})
