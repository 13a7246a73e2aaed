# What people feed to generalised mixed models: the rows of the list of bad input that apply to
# glmm(), by the names that they have there.

set.seed(20)
d <- transform(
  sleepstudy,
  x = (Days - 4.5) / 3, g = as.character(Subject), one = factor("a"), row = seq_len(180),
  zero = 0, const = 5, f = factor(rep(c("u", "v", "w"), 60)), half = factor(rep(1:2, 90)),
  text = rep(c("p", "q", "r", "s", "t"), 36), step = ordered(rep(1:5, 36)),
  date = as.Date("2020-01-01") + Days, id = as.integer(Subject), year = 1990 + Days,
  real = rep(seq(0.5, 120), length.out = 180), flat = as.integer(Subject) / 3
)
d$twice <- 2 * d$x
d$near <- d$x + 1e-6 * sin(d$row)
effect <- rnorm(18, sd = 0.7)[d$Subject]
d$count <- rpois(180, exp(1 + 0.3 * d$x + effect))
d$yes <- rbinom(180, 1, plogis(0.2 + 0.5 * d$x + effect))
d$n <- sample(5:12, 180, TRUE)
d$good <- rbinom(180, d$n, plogis(-0.3 + 0.4 * d$x + effect))
d$share <- d$good / d$n
d$size <- rgamma(180, 4, 4 / exp(0.5 + 0.2 * d$x + 0.5 * effect))
d$answer <- ifelse(d$yes == 1, "yes", "no")
# Its methods, if they are to be had: they refuse arithmetic
invisible(requireNamespace("survival", quietly = TRUE))
d$surv <- structure(cbind(time = d$Reaction, status = 1), class = "Surv")

with_value <- function(name, rows, value) {
  d[[name]][rows] <- value
  d
}
fit <- function(formula, data = d, family = poisson(), ...) glmm(formula, data, family, ...)
yes_no <- function(formula, data = d, ...) glmm(formula, data, binomial(), ...)
counts <- count ~ x + (1 | Subject)

# Missing and infinite values -------------------------------------------------------------------

walk(
  ends("NA/NaN response or predictor or group: rows dropped, counted",
    fit(counts, with_value("count", 3, NA)), fit(counts, with_value("x", 3, NaN)),
    fit(counts, with_value("Subject", 3, NA)),
    yes_no(cbind(good, n - good) ~ x + (1 | Subject), with_value("n", 3, NA)),
    fit(counts, with_value("f", 3, NA), ziformula = ~f, control = pp_control(check = FALSE)),
    fit(counts, with_value("f", 3, NA), nbinom2(), dispformula = ~f),
    value = nobs(x) == 179 && length(x$na.action) == 1
  ),
  ends("na.exclude: padded with NA",
    fitted(fit(counts, with_value("count", 3, NA), na.action = na.exclude)),
    residuals(fit(counts, with_value("x", 3, NaN), na.action = na.exclude)),
    value = length(x) == 180 && is.na(x[3]) && sum(is.na(x)) == 1
  ),
  ends("na.fail",
    fit(counts, with_value("count", 3, NA), na.action = na.fail),
    error = "missing", text = "missing values in object `count`"
  ),
  ends("na.pass, NA in y",
    fit(counts, with_value("count", 3, NA), na.action = na.pass),
    error = "response", text = "`count`.* row 3"
  ),
  ends("na.pass, NA in X or Z",
    fit(counts, with_value("x", 3, NA), na.action = na.pass),
    fit(count ~ 1 + (x | Subject), with_value("x", 3, NA), na.action = na.pass),
    fit(count ~ 1 + (1 | Subject), with_value("x", 3, NA), na.action = na.pass, ziformula = ~x),
    error = "variable", text = "`x`.* row 3"
  ),
  ends("Inf response",
    fit(counts, with_value("count", 3, Inf)), fit(counts, with_value("count", 3, -Inf)),
    error = "response", text = "`count`.* row 3"
  ),
  ends("Inf predictor",
    fit(counts, with_value("x", 3, Inf)), error = "variable", text = "`x`.* row 3"
  ),
  ends("Inf in random-slope variable",
    fit(count ~ 1 + (x | Subject), with_value("x", 3, Inf)),
    error = "variable", text = "x \\| Subject"
  ),
  ends("all-NA response or group; subset empty; 0 rows",
    fit(counts, transform(d, count = NA_real_)), fit(counts, transform(d, Subject = NA)),
    fit(counts, d, subset = x > 99), fit(counts, d[0, ]), yes_no(yes ~ (1 | Subject), d[0, ]),
    error = "data", text = "0 \\(non-NA\\) cases"
  )
)

# Groups ----------------------------------------------------------------------------------------

walk(
  ends("1 row / 2 rows",
    fit(counts, d[1, ]), fit(counts, d[1:2, ]), error = "group", text = "> 1 sampled level"
  ),
  ends("group with 1 level (even beside good term)",
    fit(count ~ (1 | one)), fit(count ~ (1 | Subject) + (1 | one)),
    error = "group", text = "`one`"
  ),
  ends("group with 2 levels", fit(count ~ x + (1 | half)), value = inherits(x, "pp_glmm")),
  ends("levels == n, glmer poisson (OLRE)",
    fit(count ~ x + (1 | row)), fit(count ~ x + (1 | Subject) + (1 | row)),
    yes_no(cbind(good, n - good) ~ x + (1 | row)),
    value = x$convergence$status == "converged"
  ),
  ends("levels == n, glmer binary",
    yes_no(yes ~ x + (1 | row)), yes_no(yes ~ x + (1 | row), weights = rep(1, 180)),
    error = "group", text = "`row`.*0/1 response"
  ),
  ends("levels == n, Gamma",
    fit(size ~ x + (1 | row), d, Gamma("log")), error = "group", text = "`row`.*dispersion"
  ),
  ends("slopes with q >= n, `(g|g)`, `(.|g)`",
    fit(size ~ (poly(Days, 9) | Subject), d, Gamma("log")),
    fit(count ~ (g | g)), fit(count ~ (. | g), d[c("count", "x", "g")]),
    error = "identifiability", text = "unidentifiable"
  ),
  ends("g both fixed and random; x*g + (x|g)",
    fit(count ~ Subject + (1 | Subject)), fit(count ~ x * Subject + (x | Subject)),
    warning = "identifiability", text = "`Subject`"
  ),
  ends("duplicate RE term",
    fit(count ~ x + (1 | Subject) + (1 | Subject)), warning = "identifiability", text = "Subject"
  ),
  ends("collinear random slopes: dropped by name",
    fit(count ~ x + (x + twice | Subject)),
    message = "rank", text = "x \\+ twice \\| Subject.*`twice`",
    value = isTRUE(all.equal(x$criterion, quietly(fit(count ~ x + (x | Subject)))$criterion))
  ),
  ends("unused levels (group or fixed)",
    fit(count ~ f + (1 | Subject), d, subset = f != "u" & Subject != "308"),
    value = length(fixef(x)) == 2 && nrow(ranef(x)$Subject) == 17
  ),
  ends("character, integer, double, logical, Date, ordered grouping",
    fit(count ~ x + (1 | g)), fit(count ~ x + (1 | id)), fit(count ~ (1 | Days > 4)),
    fit(count ~ x + (1 | flat)), fit(count ~ (1 | date)), fit(count ~ (1 | step)),
    value = inherits(x, "pp_glmm")
  ),
  ends("double grouping with > n/2 values",
    fit(count ~ x + (1 | real)), warning = "group", text = "`real`"
  ),
  ends("grouping expression `(1|factor(g))`, `(1|paste(g,f))`",
    fit(count ~ x + (1 | factor(g))), fit(count ~ x + (1 | paste(g, half))),
    value = inherits(x, "pp_glmm")
  )
)

# Response --------------------------------------------------------------------------------------

walk(
  ends("constant response glmer: allowed with a warning",
    fit(const ~ x + (1 | Subject)), fit(zero ~ 1 + (1 | Subject), offset = log(n)),
    yes_no(zero ~ 1 + (1 | Subject)),
    warning = "response", text = "constant"
  ),
  ends("constant response of a density",
    fit(const ~ x + (1 | Subject), d, Gamma("log")),
    fit(const ~ x + (1 | Subject), d, t_family()),
    error = "response", text = "constant"
  ),
  ends("exact fit / y constant within group",
    fit(id ~ 1 + (1 | Subject), d, Gamma("log")),
    fit(exp(x) ~ x + (1 | Subject), d, Gamma("log")),
    fit(exp(x) ~ x + (1 | Subject), d, gaussian("log")),
    error = "", text = "dispersion is zero"
  ),
  ends("negative counts",
    fit(I(count - 1) ~ x + (1 | Subject)), fit(I(count - 1) ~ x + (1 | Subject), d, "nbinom1"),
    error = "response", text = "Negative values not allowed.*count - 1.*rows? "
  ),
  ends("non-integer counts: a single warning",
    fit(I(count + 0.5) ~ x + (1 | Subject)), fit(I(count * 1.1) ~ x + (1 | Subject), d, nbinom2()),
    warning = "response", text = "non-integer"
  ),
  ends("Gamma / IG with 0 or negative",
    fit(I(size - size[1]) ~ x + (1 | Subject), d, Gamma("log")),
    fit(with_value ~ x + (1 | Subject), transform(d, with_value = replace(size, 1, 0)),
        inverse.gaussian("log")),
    error = "response", text = "row"
  ),
  ends("beta with 0 or 1, truncated counts with 0, tweedie with negative values",
    fit(share ~ x + (1 | Subject), with_value("share", 4, 1), beta_family()),
    fit(count ~ x + (1 | Subject), with_value("count", 4, 0), truncated_poisson()),
    fit(size ~ x + (1 | Subject), with_value("size", 4, -1), tweedie()),
    error = "response", text = "row"
  ),
  ends("Gamma(inverse) infeasible mu: step control",
    fit(size ~ x + (1 | Subject), d, Gamma()),
    fit(exp(2 * x) * size ~ x + (x | Subject), d, Gamma("inverse")),
    value = x$convergence$status == "converged"
  ),
  ends("proportion without weights",
    yes_no(share ~ x + (1 | Subject)),
    warning = "response", text = "non-integer #successes in a binomial glm.*weights"
  ),
  ends("binomial y = 2 / -1",
    yes_no(I(yes + 1) ~ x + (1 | Subject)), yes_no(I(-yes) ~ x + (1 | Subject)),
    yes_no(good ~ x + (1 | Subject)),
    error = "response", text = "0 <= y <= 1"
  ),
  ends("binomial 3-level factor",
    yes_no(f ~ x + (1 | Subject)), error = "response", text = "two levels.*f == \"v\""
  ),
  ends("binomial 1-level factor",
    yes_no(one ~ x + (1 | Subject)), error = "response", text = "constant"
  ),
  ends("binomial character: two values accepted",
    yes_no(answer ~ x + (1 | Subject)), yes_no(factor(answer) ~ x + (1 | Subject)),
    yes_no(yes == 1 ~ x + (1 | Subject)),
    value = isTRUE(all.equal(x$criterion, yes_no(yes ~ x + (1 | Subject))$criterion))
  ),
  ends("binomial character of more values",
    yes_no(text ~ x + (1 | Subject)), error = "response", text = "two values: it has 5"
  ),
  ends("cbind(s, n-s) with negatives",
    yes_no(cbind(good, n - good) ~ x + (1 | Subject), with_value("n", 7, 0)),
    error = "response", text = "negative failures in row 7"
  ),
  ends("cbind with negative successes",
    yes_no(cbind(good, n) ~ x + (1 | Subject), with_value("good", 7, -1)),
    error = "response", text = "negative successes in row 7"
  ),
  ends("cbind non-integer",
    yes_no(cbind(good + 0.5, n) ~ x + (1 | Subject)), warning = "response", text = "non-integer"
  ),
  ends("cbind 0-0 rows",
    yes_no(cbind(good, n - good) ~ x + (1 | Subject), transform(d, good = good * (row > 2),
                                                               n = n * (row > 2))),
    message = "response", text = "2 rows without trials",
    value = nobs(x) == 178 && x$dropped_weights == 2
  ),
  ends("cbind 3 cols",
    yes_no(cbind(good, n, n) ~ x + (1 | Subject)), error = "response", text = "two columns"
  ),
  ends("factor, character, Date, difftime, complex response",
    fit(f ~ x + (1 | Subject)), fit(g ~ x + (1 | Subject)), fit(date ~ (1 | Subject)),
    yes_no(date ~ (1 | Subject)), fit(complex(real = count) ~ (1 | Subject)),
    error = "response", text = "must be numeric"
  ),
  ends("matrix / Surv response",
    fit(cbind(count, n) ~ (1 | Subject)), fit(surv ~ (1 | Subject)), yes_no(surv ~ (1 | Subject)),
    error = "response", text = "single column"
  ),
  ends("logical or integer response",
    fit(as.integer(count) ~ x + (1 | Subject)), fit((count > 2) ~ x + (1 | Subject)),
    value = is.numeric(fixef(x))
  ),
  ends("response on rhs",
    fit(count ~ count + x + (1 | Subject)),
    warning = "formula", text = "right-hand side", value = length(fixef(x)) == 2
  ),
  ends("one trial a row for a beta-binomial",
    glmm(yes ~ x + (1 | Subject), d, betabinomial()), error = "identifiability", text = "one trial"
  )
)

# Fixed effects ---------------------------------------------------------------------------------

walk(
  ends("perfectly collinear X, constant column",
    fit(count ~ x + twice + (1 | Subject)), message = "rank", text = "`twice`",
    value = isTRUE(all.equal(fixef(x), fixef(fit(counts))))
  ),
  ends("constant column",
    fit(count ~ x + const + (1 | Subject)), message = "rank", text = "`const`"
  ),
  ends("X with p>n", fit(count ~ factor(row) + (1 | Subject)), error = "rank", text = "as many"),
  ends("near-collinear 1e-6",
    fit(count ~ x + near + (1 | Subject)), warning = "rank", text = "near"
  ),
  ends("complete separation (x)",
    yes_no(I(x > 0.1) ~ x + (1 | half)), warning = "separation", text = "`x`.*infinite.*prior"
  ),
  ends("separation by factor level",
    yes_no(I(yes * (f != "w")) ~ f + (1 | Subject)), warning = "separation", text = "`fw`"
  ),
  ends("separation by group",
    yes_no(I(id %% 2) ~ x + (1 | Subject)), warning = "separation", text = "Subject"
  ),
  ends("x*1e8 in glmer and slope",
    fit(count ~ I(x * 1e8) + (1 | Subject)),
    value = isTRUE(all.equal(x$criterion, fit(counts)$criterion))
  ),
  ends("x*1e8 in a slope",
    quietly(fit(count ~ I(x * 1e8) + (I(x * 1e8) | Subject))),
    value = isTRUE(all.equal(x$criterion, quietly(fit(count ~ x + (x | Subject)))$criterion))
  ),
  ends("uncentred year in Poisson: no warning",
    fit(count ~ year + (1 | Subject)),
    value = isTRUE(all.equal(x$criterion, fit(counts)$criterion))
  ),
  # So many counts tell the effects of the groups exactly.
  ends("counts*1e7: quiet",
    fit(I(count * 1e7) ~ x + (1 | Subject)),
    value = isTRUE(all.equal(x$theta[[1]], sqrt(mean(x$b[[1]]^2)), tolerance = 1e-3))
  )
)

# Offset and weights ----------------------------------------------------------------------------

walk(
  ends("offset too short",
    fit(counts, offset = 1:3), error = "offset", text = "lengths differ.*3 values"
  ),
  ends("offset scalar",
    fit(counts, offset = 2),
    value = isTRUE(all.equal(fixef(x)[[1]], fixef(fit(counts))[[1]] - 2, tolerance = 1e-6))
  ),
  ends("offset NA: row dropped", fit(counts, offset = c(NA, rep(0, 179))), value = nobs(x) == 179),
  ends("offset -Inf (log 0)",
    fit(counts, offset = log(Days)), fit(count ~ offset(log(Days)) + (1 | Subject)),
    error = "offset", text = "infinite"
  ),
  ends("offset character", fit(counts, offset = text), error = "offset", text = "numeric"),
  ends("offset e^50: fit",
    fit(counts, offset = rep(50, 180)),
    value = isTRUE(all.equal(fixef(x)[[1]], fixef(fit(counts))[[1]] - 50, tolerance = 1e-6))
  ),
  ends("weights negative",
    fit(counts, weights = Days - 5), error = "weights", text = "must not be negative.*rows 1, 2"
  ),
  ends("trials negative",
    yes_no(share ~ (1 | Subject), weights = ifelse(row == 3, -1, n)),
    error = "weights", text = "number of trials.*row 3"
  ),
  ends("weights zero (some / whole group): rows dropped",
    fit(counts, weights = as.numeric(Days > 0)), message = "weights", text = "18 rows",
    value = nobs(x) == 162 &&
      isTRUE(all.equal(x$criterion, fit(counts, d, subset = Days > 0)$criterion))
  ),
  ends("weights all zero", fit(counts, weights = zero), error = "weights", text = "zero"),
  ends("weights Inf", fit(counts, weights = 1 / Days), error = "weights", text = "infinite"),
  ends("weights character", fit(counts, weights = text), error = "weights", text = "numeric"),
  ends("weights NA: row dropped",
    fit(counts, weights = c(NA, rep(1, 179))), value = nobs(x) == 179
  ),
  ends("weights short / scalar",
    fit(counts, weights = 1:3), fit(counts, weights = 2), error = "weights", text = "lengths differ"
  ),
  ends("weights over 16 decades",
    fit(counts, weights = 10^(2 * Days - 9)), warning = "weights", text = "18 decades"
  )
)

# Formula, data and arguments -------------------------------------------------------------------

walk(
  ends("no bars: a generalised linear model",
    fit(count ~ x),
    value = isTRUE(all.equal(fixef(x), coef(glm(count ~ x, poisson, d)), tolerance = 1e-6)) &&
      isTRUE(all.equal(c(logLik(x)), c(logLik(glm(count ~ x, poisson, d)))))
  ),
  ends("one-sided formula", fit(~ x + (1 | Subject)), error = "formula", text = "response"),
  ends("missing parentheses `y ~ x + 1|g`",
    fit(count ~ x + 1 | Subject),
    error = "formula", text = "count ~ x \\+ \\(1 \\| Subject\\)"
  ),
  ends("`(0|g)`", fit(count ~ (0 | Subject)), error = "random", text = "no column"),
  ends("`y ~ 0 + (1|g)`", fit(count ~ 0 + (1 | Subject)), value = length(fixef(x)) == 0),
  ends("missing variable / group / response",
    fit(count ~ qqq + (1 | Subject)), fit(count ~ (1 | qqq)), fit(qqq ~ (1 | Subject)),
    fit(counts, ziformula = ~qqq), fit(counts, d, nbinom2(), dispformula = ~qqq),
    error = "variable", text = "`qqq` not found"
  ),
  ends("missing data",
    glmm(counts, nosuch, poisson()), error = "data", text = "'nosuch' not found"
  ),
  ends("data is matrix",
    fit(counts, data.matrix(d[c("count", "x", "Subject")])),
    value = isTRUE(all.equal(fixef(x), fixef(fit(counts))))
  ),
  ends("data is list/tibble/data.table; NULL + env vars",
    fit(counts, as.list(d)), with(d, glmm(count ~ x + (1 | Subject), family = poisson())),
    value = isTRUE(all.equal(fixef(x), fixef(fit(counts))))
  ),
  ends("random slope by factor, char, ordered",
    quietly(fit(count ~ (f | Subject))), quietly(fit(count ~ (step | half))),
    value = ncol(ranef(x)[[1]]) %in% c(3, 5)
  ),
  ends("`(f||g)`: diag semantics",
    fit(count ~ (f || Subject)), message = "random", text = "3 uncorrelated columns",
    value = length(x$theta) == 3
  ),
  ends("quasi family / typo family / link typo",
    fit(counts, d, quasipoisson()), fit(counts, d, "quasi"), fit(counts, d, "poison"),
    fit(counts, d, poisson("lgo")), fit(counts, d, list(family = "poisson", link = "logit")),
    error = "family", text = "likelihood|Did you mean|lgo|no link"
  ),
  ends("no family", glmm(counts, d), error = "family", text = "missing"),
  ends("log-binomial, identity-Poisson: step control",
    glmm(yes ~ x + (1 | Subject), d, binomial("log")),
    fit(I(count + 12) ~ x + (1 | Subject), d, poisson("identity")),
    value = x$convergence$status == "converged" && is.finite(x$criterion)
  ),
  # Zeros whose fitted means would be negative: there is no mode inside the range of the mean.
  ends("identity-Poisson where the mean leaves its range",
    fit(counts, d, poisson("identity")), warning = "fit", text = "identity.*link.*log"
  ),
  ends("family=gaussian in glmer: fit quietly",
    glmm(Reaction ~ Days + (1 | Subject), d, gaussian()),
    glmm(Reaction ~ Days + (1 | Subject), d, gaussian, nAGQ = 9),
    value = inherits(x, "pp_lmm") &&
      isTRUE(all.equal(x$criterion, lmm(Reaction ~ Days + (1 | Subject), d, FALSE)$criterion))
  ),
  ends("unknown argument", fit(counts, weigths = n), error = "argument", text = "weigths"),
  ends("REML in glmer: REML-type Laplace",
    fit(counts, REML = TRUE), value = x$REML && x$convergence$status == "converged"
  ),
  ends("REML=2 / NA", fit(counts, REML = 2), fit(counts, REML = NA),
    error = "argument", text = "REML"
  ),
  ends("nAGQ 9 with 2 terms or too many columns",
    fit(count ~ (1 | Subject) + (1 | half), nAGQ = 9), fit(count ~ (step | half), nAGQ = 3),
    error = "argument", text = "one grouping factor"
  ),
  ends("nAGQ 9 with slope, nAGQ 101: lifted",
    quietly(fit(count ~ x + (x | Subject), nAGQ = 9)), fit(counts, nAGQ = 101),
    value = x$method == "agq" && x$convergence$status == "converged"
  ),
  ends("too many nodes",
    fit(count ~ (x | Subject), nAGQ = 200), error = "argument", text = "40,000 nodes.*141"
  ),
  ends("nAGQ -1, 2.7",
    fit(counts, nAGQ = -1), fit(counts, nAGQ = 2.7), fit(counts, nAGQ = NA),
    fit(counts, nAGQ = 1:2), fit(counts, nAGQ = "1"),
    error = "argument", text = "whole number"
  ),
  ends("method and nAGQ that contradict each other",
    fit(counts, method = "laplace", nAGQ = 5), fit(counts, method = "pql", nAGQ = 5),
    fit(counts, method = "agq", nAGQ = 0), fit(counts, method = "gibbs"),
    fit(counts, REML = TRUE, nAGQ = 5), fit(counts, REML = TRUE, nAGQ = 0),
    fit(counts, d, nbinom2(), method = "pql"), fit(counts, method = "pql", ziformula = ~1),
    error = "argument"
  ),
  ends("start wrong length/name/NA/negative",
    fit(counts, start = 1:9), fit(counts, start = list(thta = 1)),
    fit(counts, start = c(1, NA, 1)), fit(counts, start = c(-1, 0, 0)),
    fit(counts, start = list(fixef = 1)), fit(counts, start = "a"),
    error = "start", text = "theta|start|parameters"
  ),
  ends("maxeval reached: 1 warning",
    fit(counts, start = c(0.1, 3, 3), control = pp_control(max_iterations = 1)), warning = "fit"
  ),
  ends("ziformula and dispformula that mean nothing",
    fit(counts, ziformula = count ~ x), fit(counts, ziformula = "x"),
    fit(counts, ziformula = ~ (1 | Subject)), fit(counts, d, nbinom2(), dispformula = ~ x | f),
    fit(counts, dispformula = ~x), fit(counts, d, nbinom2(), dispformula = ~0),
    fit(counts, d, nbinom2(size = 2), dispformula = ~x),
    glmm(Reaction ~ Days + (1 | Subject), d, gaussian("log"), ziformula = ~1),
    error = "argument", text = "ziformula|dispformula"
  ),
  ends("offset in ziformula",
    fit(counts, ziformula = ~ offset(x)), error = "offset", text = "ziformula"
  ),
  ends("formula of a wrong kind",
    glmm(3, d, poisson()), glmm(), error = "formula", text = "missing|number"
  )
)

# After the fit ---------------------------------------------------------------------------------

new <- data.frame(x = 1:2, Subject = c("308", "zz"))
holes <- data.frame(x = 1:2, Subject = c("308", NA))

walk(
  ends("predict: new level",
    predict(fit(counts), new), error = "newdata", text = "new levels detected in newdata.*zz"
  ),
  ends("predict: new level allowed -> population",
    predict(fit(counts), new, allow.new.levels = TRUE)[[2]],
    value = isTRUE(all.equal(x, sum(fixef(fit(counts)) * c(1, 2))))
  ),
  ends("predict: NA group",
    predict(fit(counts), holes), error = "newdata", text = "allow.new.levels"
  ),
  ends("predict: new fixed-factor level",
    predict(fit(count ~ f + (1 | Subject)), data.frame(f = "nix", Subject = "308")),
    error = "newdata", text = "`f`.*nix"
  ),
  ends("predict: 0-row newdata", predict(fit(counts), new[0, ]), value = length(x) == 0),
  ends("predict: argument typo (`re.frm`)",
    predict(fit(counts), re.frm = NA), error = "argument", text = "re.frm"
  ),
  ends("predict: re.form with unknown term",
    predict(fit(counts), d, re.form = ~ (1 | f)), error = "argument", text = "1 \\| f"
  ),
  ends("refit wrong length / NA",
    refit(fit(counts), 1:3), refit(fit(counts), c(NA, d$count[-1])),
    refit(fit(counts), d$count - 9), refit(fit(counts), list(1, 2)),
    error = "response", text = "newresp"
  ),
  ends("ranef(whichel typo)", ranef(fit(counts), whichel = "Subjct"),
    error = "argument", text = "Subjct"
  ),
  ends("anova n mismatch", anova(fit(counts), fit(count ~ 1 + (1 | Subject), d[-1, ])), error = "")
)

test_that("AGQ, 20000 groups: the sum of logarithms is finite", {
  skip_on_cran()
  set.seed(2)
  g <- rep(seq_len(20000), each = 2)
  y <- rbinom(40000, 1, plogis(rnorm(20000)[g]))
  many <- glmm(y ~ 1 + (1 | g), family = binomial(), nAGQ = 5)
  expect_true(is.finite(many$criterion))
  expect_equal(many$theta[[1]], 1, tolerance = 0.1)
})

test_that("a warning comes once", {
  warnings <- capture_warnings(fit(I(count + 0.5) ~ x + (1 | Subject)))
  expect_length(warnings, 1L)
})
