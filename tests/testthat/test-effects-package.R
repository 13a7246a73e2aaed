# Effects through the effects package: those of fits of lme4.

effect_numbers <- function(x) {
  tables <- as.data.frame(x)
  if (is.data.frame(tables)) tables <- list(tables)
  unname(do.call(rbind, lapply(tables, function(t) as.matrix(t[c("fit", "se", "lower", "upper")]))))
}

expect_same_effects <- function(ours, theirs, how, tolerance = 1e-6) {
  expect_equal(effect_numbers(how(ours)), effect_numbers(how(theirs)), tolerance = tolerance)
}

# The effects package looks the data of a fit by lme4 up where the call was made.
with_cake <- function(formula, ...) {
  d <- lme4::cake
  d$batch <- interaction(d$recipe, d$replicate)
  d$degrees <- as.numeric(as.character(d$temperature))
  d$shift <- sin(seq_len(nrow(d)))
  control <- lme4::lmerControl(optimizer = "bobyqa", optCtrl = list(rhoend = 1e-10))
  extra <- lapply(as.list(substitute(list(...)))[-1L], eval, d)
  list(
    do.call(lmm, c(list(formula, d), extra)),
    do.call(lme4::lmer, c(list(formula, d, control = control), extra))
  )
}

test_that("Effect(), allEffects(), predictorEffects() of linear models", {
  skip_if_not_installed("effects", "4.2")
  skip_if_not_installed("lme4")
  fits <- with_cake(angle ~ recipe * temperature + (1 | batch))
  two <- function(fit) effects::Effect(c("recipe", "temperature"), fit)
  expect_same_effects(fits[[1L]], fits[[2L]], two)
  expect_same_effects(fits[[1L]], fits[[2L]], effects::allEffects)
  fits <- with_cake(log(angle) ~ recipe + poly(degrees, 2) + (1 | batch))
  expect_same_effects(fits[[1L]], fits[[2L]], effects::allEffects)
  expect_same_effects(fits[[1L]], fits[[2L]], effects::predictorEffects)
  residuals <- function(fit) effects::predictorEffect("degrees", fit, residuals = TRUE)
  expect_equal(residuals(fits[[1L]])$residuals, residuals(fits[[2L]])$residuals, tolerance = 1e-6)
  fits <- with_cake(angle ~ recipe + degrees + (1 | batch), offset = shift)
  expect_same_effects(fits[[1L]], fits[[2L]], effects::allEffects)
  fits <- with_cake(angle ~ recipe + degrees + offset(shift) + (1 | batch))
  expect_same_effects(fits[[1L]], fits[[2L]], effects::allEffects)
})

test_that("KR = TRUE is with the covariance of pbkrtest", {
  skip_if_not_installed("effects", "4.2")
  skip_if_not_installed("pbkrtest")
  d <- subset(lme4::cake, as.integer(rownames(lme4::cake)) %% 7 > 0)
  d$degrees <- (as.numeric(as.character(d$temperature)) - 200) / 10
  formula <- angle ~ recipe + degrees + (degrees | replicate)
  control <- lme4::lmerControl(optimizer = "bobyqa", optCtrl = list(rhoend = 1e-10))
  m <- lme4::lmer(formula, d, control = control)
  fit <- suppressMessages(lmm(formula, d, REML = FALSE))
  X <- cbind(1, c(0, 1, 0), c(0, 0, 1), mean(d$degrees))
  for (one in list(fit, update(fit, REML = TRUE))) {
    V <- as.matrix(pbkrtest::vcovAdj(one))
    effect <- effects::Effect("recipe", one, KR = TRUE)
    expect_equal(unname(effect$se), sqrt(rowSums((X %*% V) * X)), tolerance = 1e-8)
  }
  # Releases of effects differ in whether they adjust that of lme4.
  expect_equal(V, as.matrix(pbkrtest::vcovAdj(m)), tolerance = 1e-5, ignore_attr = TRUE)
})

test_that("missing cells, data that are gone", {
  skip_if_not_installed("effects", "4.2")
  make <- function() {
    gone <- cake
    gone$degrees <- as.numeric(as.character(gone$temperature))
    gone <- gone[!(gone$recipe == "A" & gone$temperature == "175"), ]
    list(
      suppressMessages(lmm(angle ~ recipe * temperature + (1 | replicate), gone)),
      lmm(angle ~ log(degrees) + (1 | replicate), gone)
    )
  }
  fits <- make()
  table <- as.data.frame(suppressMessages(effects::Effect(c("recipe", "temperature"), fits[[1L]])))
  expect_equal(sum(is.na(table$fit)), 1L)
  line <- as.data.frame(effects::Effect("degrees", fits[[2L]]))
  expect_equal(line$fit, drop(cbind(1, log(line$degrees)) %*% coef(fits[[2L]])))
})

test_that("generalised models", {
  skip_if_not_installed("effects", "4.2")
  skip_if_not_installed("glmmTMB")
  skip_if_not_installed("lme4")
  formula <- cbind(incidence, size - incidence) ~ period + (1 | herd)
  control <- lme4::glmerControl(optimizer = "bobyqa", optCtrl = list(rhoend = 1e-9),
    tolPwrss = 1e-12
  )
  theirs <- lme4::glmer(formula, cbpp, binomial, control = control)
  # lme4's covariance is a Hessian by finite differences: four digits.
  expect_same_effects(glmm(formula, cbpp, binomial), theirs, effects::allEffects, 1e-4)
  share <- glmm(incidence / size ~ period + (1 | herd), cbpp, binomial, weights = size)
  expect_no_warning(effect <- effects::Effect("period", share))
  expect_equal(drop(effect$fit), drop(effects::Effect("period", theirs)$fit),
    tolerance = 1e-3, ignore_attr = TRUE
  )
  # Any family and link: the line with its standard error by the covariance of the fit.
  fit <- glmm(count ~ mined + cover + (1 | site), glmmTMB::Salamanders, nbinom2())
  effect <- effects::Effect("mined", fit)
  X <- cbind(1, 0:1, mean(glmmTMB::Salamanders$cover))
  expect_equal(unname(drop(effect$fit)), unname(drop(X %*% coef(fit))))
  expect_equal(unname(effect$se), unname(sqrt(diag(X %*% vcov(fit) %*% t(X)))))
})

test_that("pictures are drawn", {
  skip_if_not_installed("effects", "4.2")
  file <- withr::local_tempfile(fileext = ".pdf")
  grDevices::pdf(file)
  fit <- lmm(Reaction ~ Days + (Days | Subject), sleepstudy)
  expect_no_error(print(plot(effects::allEffects(fit))))
  expect_no_error(print(plot(effects::predictorEffects(fit, residuals = TRUE))))
  grDevices::dev.off()
})
